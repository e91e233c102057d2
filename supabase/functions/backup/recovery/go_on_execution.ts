/**
 * Lets an execution go on that all its workers have left, as whoever looks at any running job does.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import { type Execution, hasEnded } from "../core/recovery.ts";
import type { Deps } from "../usecases/deps.ts";
import { goOn } from "../usecases/jobs/go_on.ts";

/** Returns at once. */
export function goOnWith(deps: Deps, execution: Execution): void {
  if (hasEnded(execution) || !execution.recorded) return;
  deps.inBackground(wake(deps, execution));
}

async function wake(deps: Deps, { executionId }: Execution): Promise<void> {
  try {
    const job = await deps.state.jobs.get(executionId, "recovery");
    if (job !== null) goOn(deps, [job]);
  } catch (error) {
    deps.reportError(toBackupError(error), `going on with ${executionId}`);
  }
}
