/**
 * Takes away, for the length of one transaction, what would react to a restore's own statements: default
 * privileges of the restoring role, and its event triggers. Nobody else ever sees them gone.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import type { RestoreStepName } from "./cut_restore.ts";
import type { Filling, SetAside, TableLoad } from "./plan_types.ts";
import { runStatements } from "./run_statements.ts";

/** What is done, and what the plan knows of it. */
export interface ReactionInput {
  filling: Filling | null;
  step: RestoreStepName;
  loads: readonly TableLoad[];
}

/** Steps that define nothing, so that nothing reacts to them. */
const QUIET: readonly RestoreStepName[] = [
  "roles",
  "clear",
  "sequences",
  "check-keys",
  "compare-rows",
];

const NOTHING: SetAside = { drop: [], make: [] };

/** Runs work in the open transaction. */
export async function withoutReactions(
  session: Session,
  input: ReactionInput,
  work: () => Promise<void>,
): Promise<void> {
  const { drop, make } = reactionsTo(input);
  await runStatements(session, drop, "what reacts to new objects");
  await work();
  await runStatements(session, make, "what reacts to new objects");
}

/**
 * Units run at once. What is of the whole database only one of them can drop and make again; and a trigger
 * of a partitioned table locks all of its partitions, so that two would wait for each other.
 */
const ALONE = "SELECT pg_catalog.pg_advisory_xact_lock(" +
  "pg_catalog.hashtextextended('backup_internal set aside', 0))";

/** The statements around such work. What acts on rows goes with the rows of its table. */
export function reactionsTo({ filling, step, loads }: ReactionInput): SetAside {
  if (filling === null || QUIET.includes(step)) return NOTHING;
  if (step === "rows") {
    const isAside = loads.some(({ fill }) => fill !== undefined && fill.aside.drop.length > 0);
    return isAside ? { drop: [ALONE], make: [] } : NOTHING;
  }
  const { drop, make } = step === "definitions" ? filling.definitions : filling.statements;
  return drop.length === 0 ? NOTHING : { drop: [ALONE, ...drop], make };
}
