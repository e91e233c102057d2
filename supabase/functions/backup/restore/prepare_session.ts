/**
 * How the sessions of a restore are set.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import { hasEventTriggerSwitch } from "./event_triggers.ts";
import type { TargetFacts } from "./plan_types.ts";

/** Gives a session with pinned settings what a restore needs besides. */
export async function prepareSession(
  session: Session,
  target: Pick<TargetFacts, "role">,
  request: { lockTimeoutMs?: number },
): Promise<void> {
  const lockTimeoutMs = Math.max(1, Math.trunc(request.lockTimeoutMs ?? 60_000));
  // The platform refuses to delete rows of stored files unless this is said.
  await session.execute(
    `SET lock_timeout = ${lockTimeoutMs}; SET storage.allow_delete_query = 'true'`,
  );
  if (target.role.replicaMode) await session.execute("SET session_replication_role = replica");
  if (target.role.superuser && hasEventTriggerSwitch(session)) {
    await session.execute("SET event_triggers = off");
  }
}
