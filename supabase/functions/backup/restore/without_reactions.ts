/**
 * Takes away, for the length of one transaction, what would react to a restore's own statements: default
 * privileges of the restoring role, and its event triggers. Nobody else ever sees them gone.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import type { RestoreStepName } from "./cut_restore.ts";
import type { Filling, SetAside } from "./plan_types.ts";
import { runStatements } from "./run_statements.ts";

/** What is done, and what the plan knows of it. */
export interface ReactionInput {
  filling: Filling | null;
  step: RestoreStepName;
}

/** Steps that define nothing, so that nothing reacts to them. */
const QUIET: readonly RestoreStepName[] = [
  "roles",
  "clear",
  "rows",
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

/** The statements around such work. */
export function reactionsTo({ filling, step }: ReactionInput): SetAside {
  if (filling === null || QUIET.includes(step)) return NOTHING;
  return step === "definitions" ? filling.definitions : filling.statements;
}
