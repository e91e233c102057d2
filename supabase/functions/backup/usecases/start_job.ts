/**
 * Starts a use-case as a job and audits its beginning and its end.
 *
 * @module
 */
import type { Job } from "../core/job.ts";
import type { JobContext, JobOutcome, NewJob } from "../jobs/job_runner.ts";
import type { Caller, Deps } from "./deps.ts";
import { recordAudit } from "./record_audit.ts";

/** @throws `conflict` when a job runs that this one cannot run beside */
export async function startJob(
  deps: Deps,
  caller: Caller,
  start: { action: string; job: NewJob; details: Record<string, unknown> },
  work: (context: JobContext) => Promise<JobOutcome>,
): Promise<Job> {
  const audit = (outcome: "accepted" | "completed" | "failed", details: Record<string, unknown>) =>
    recordAudit(deps, caller, {
      action: start.action,
      subject: start.job.jobId,
      outcome,
      details,
    });
  const job = await deps.jobs.start(start.job, async (context) => {
    try {
      const outcome = await work(context);
      await audit("completed", {});
      return outcome;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "internal";
      await audit("failed", { code });
      throw error;
    }
  });
  await audit("accepted", start.details);
  return job;
}
