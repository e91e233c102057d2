/**
 * Stops a job cleanly: parts that this process does at once, those of others with their next heartbeat.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { isFinished, type Job } from "../../core/job.ts";
import type { Caller, Deps } from "../deps.ts";
import { getJob } from "./get_job.ts";
import { recordAudit } from "./record_audit.ts";

/** How long the answer waits for the end. */
const PATIENCE_MS = 5000;

/** @throws `not_found`; `conflict` when the job has ended already */
export async function cancelJob(deps: Deps, caller: Caller, jobId: string): Promise<Job> {
  const job = await getJob(deps, jobId);
  if (isFinished(job)) {
    throw new BackupError("conflict", `Cannot cancel ${jobId}: it is ${job.status}`, {
      details: { jobId, status: job.status },
    });
  }
  // One that nobody has begun is only taken back; one that is begun meanwhile is stopped.
  if (job.status !== "pending" || !await deps.state.pendingBackups.takeBack(jobId)) {
    await deps.jobs.cancel(jobId);
    await deps.jobs.wait(jobId, PATIENCE_MS);
  }
  await recordAudit(deps, caller, {
    action: "cancel",
    subject: jobId,
    outcome: "accepted",
    details: {},
  });
  return await getJob(deps, jobId);
}
