/**
 * Stops a job cleanly: at once when it runs in this worker, else by a mark that its worker reads.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { isFinished, type Job } from "../core/job.ts";
import type { Caller, Deps } from "./deps.ts";
import { getJob } from "./get_job.ts";
import { recordAudit } from "./record_audit.ts";

/** @throws `not_found`; `conflict` when the job has ended already */
export async function cancelJob(deps: Deps, caller: Caller, jobId: string): Promise<Job> {
  const job = await getJob(deps, jobId);
  if (isFinished(job)) {
    throw new BackupError("conflict", `Cannot cancel ${jobId}: it is ${job.status}`, {
      details: { jobId, status: job.status },
    });
  }
  if (deps.jobs.cancel(jobId)) await deps.jobs.wait(jobId, 5000);
  else await deps.state.jobs.requestCancel(job);
  await recordAudit(deps, caller, {
    action: "cancel",
    subject: jobId,
    outcome: "accepted",
    details: {},
  });
  return await getJob(deps, jobId);
}
