/**
 * Records a job that could not even begin, as one that failed.
 *
 * @module
 */
import { type BackupError, toBackupError } from "../../core/errors.ts";
import { type Job, type NewJob, newJob, toJobError } from "../../core/job.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import type { Deps } from "../deps.ts";

/**
 * What is due is told from starts and ends by the server's clock: a failure of another time would not count
 * among them, and the job would be tried again at once.
 *
 * @returns the job as it has ended; not `recorded` while the tables cannot be used
 * @throws `database_error`
 */
export async function recordFailedStart(
  deps: Deps,
  start: NewJob,
  error: BackupError,
): Promise<Job> {
  const at = await presentOf(deps);
  return await deps.state.jobs.finish({
    ...newJob(start, at),
    status: "failed",
    completedAt: at.toISOString(),
    error: toJobError(error),
  });
}

/** By the server's clock, by the process's own while there are no tables to write it to. */
async function presentOf({ state, clock }: Deps): Promise<Date> {
  try {
    return await state.latestRuns.now();
  } catch (error) {
    const failure = toBackupError(error);
    if (!isStateUnavailable(failure) && failure.code !== "invalid_config") throw failure;
    return clock.now();
  }
}
