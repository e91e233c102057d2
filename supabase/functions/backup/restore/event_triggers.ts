/**
 * Keeps event triggers of the target out of a restore: they would fire at every statement of it.
 *
 * @module
 */
import { quoteIdentifier } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import type { RestoreMode, TargetFacts } from "./plan_types.ts";
import { tryStatements } from "./run_statements.ts";

/** Names of those that will fire all the same. */
export function firingEventTriggers(target: TargetFacts, mode: RestoreMode): string[] {
  const { role } = target;
  if (role.superuser && hasEventTriggerSwitch(target)) return [];
  const firing = target.eventTriggers.filter(({ state, owner, extension }) => {
    // Over a live database they are dropped first and made again last.
    const isDropped = mode === "over" && extension === null &&
      (role.superuser || owner === role.name);
    if (isDropped) return false;
    return role.replicaMode ? state !== "O" : state !== "R";
  });
  return firing.map(({ name }) => `event-trigger ${name}`);
}

/** Switches them off in a transaction that is taken back, as far as the role may. */
export async function silenceEventTriggers(session: Session): Promise<void> {
  const statements = ["SET LOCAL session_replication_role = replica"];
  const firing = await session.query<{ name: string }>(
    "select evtname::text as name from pg_catalog.pg_event_trigger where evtenabled in ('A', 'R')",
  );
  for (const { name } of firing) {
    statements.push(`ALTER EVENT TRIGGER ${quoteIdentifier(name)} DISABLE`);
  }
  for (const sql of statements) {
    await tryStatements(session, [sql], { identity: "event triggers", tolerated: ["42501"] });
  }
}

/** From 17 on a superuser switches all of them off. */
export function hasEventTriggerSwitch({ serverVersion }: { serverVersion: number }): boolean {
  return serverVersion >= 170000;
}
