/**
 * Keeps an execution where it can be seen: in the tables, and in this process while those are out of reach.
 *
 * @module
 */
import { type BackupError, toBackupError } from "../core/errors.ts";
import { type Execution, hasEnded, type RecoveryPlan } from "../core/recovery.ts";
import { isStateUnavailable } from "../state/state_error.ts";
import type { Deps } from "../usecases/deps.ts";

/** Executions that ended which this process remembers. */
const REMEMBERED = 50;

/** What recording needs. */
export type RecordDeps = Pick<Deps, "state" | "recovery" | "reportError">;

/**
 * Writes the execution as it is now. Once the tables could not be written they are left alone until its end:
 * each attempt may cost seconds that the recovery should not wait. @returns it, with whether the tables have it
 */
export async function recordExecution(
  deps: RecordDeps,
  planned: { execution: Execution; plan: RecoveryPlan },
): Promise<Execution> {
  const { executionId } = planned.execution;
  const isLeft = deps.recovery.executions.has(executionId) && !hasEnded(planned.execution);
  const recorded = isLeft
    ? null
    : await unlessUnavailable(deps, () => deps.state.executions.write(planned));
  const execution = { ...planned.execution, recorded: recorded ?? false };
  remember(deps, { execution, plan: planned.plan });
  return execution;
}

/** What the tables answer; null while they cannot be used, whatever the reason: the log says it. */
export async function unlessUnavailable<T>(
  deps: Pick<Deps, "reportError">,
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    const failure = toBackupError(error);
    if (!isAway(failure)) deps.reportError(failure, "record an execution");
    return null;
  }
}

/**
 * Lets pass what says that the tables cannot be used: they are away, or a damaged database cannot read them,
 * which is what plans are for.
 *
 * @throws everything else
 */
export function refuseOther(deps: Pick<Deps, "reportError">, error: unknown): void {
  const failure = toBackupError(error);
  if (isAway(failure)) return;
  if (failure.code !== "database_error") throw failure;
  deps.reportError(failure, "read the tables of recovery");
}

function isAway(failure: BackupError): boolean {
  return isStateUnavailable(failure) || failure.code === "invalid_config";
}

/** Keeps in this process what the tables do not have. */
export function remember(
  { recovery }: Pick<Deps, "recovery">,
  planned: { execution: Execution; plan: RecoveryPlan },
): void {
  const { executions } = recovery;
  const { executionId, recorded } = planned.execution;
  if (recorded) executions.delete(executionId);
  else executions.set(executionId, planned);
  for (const [id, { execution }] of executions) {
    if (executions.size <= REMEMBERED) return;
    if (hasEnded(execution)) executions.delete(id);
  }
}
