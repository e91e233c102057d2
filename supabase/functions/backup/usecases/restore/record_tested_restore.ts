/**
 * Records restore tests. That a row cannot be written never makes a test fail.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import type { JobEnd } from "../../core/part.ts";
import type { Deps } from "../deps.ts";
import { getJob } from "../jobs/get_job.ts";
import type { RestoreReport } from "./restore_database.ts";

/** A test that a job does. */
export interface TestJob {
  job: Job;
  backupId: string;
  /** Name of the scratch database. */
  environment: string;
}

/** A test has begun: the one that was asked for, if it was. */
export async function recordTestBegin(
  deps: Deps,
  { job, backupId, environment }: TestJob,
): Promise<void> {
  await unlessUnwritable(deps, backupId, () =>
    deps.state.tests.begin({
      ...{ jobId: job.jobId, backupId, testType: "restore_test", environment },
      testedBy: job.createdBy,
    }));
}

/** A test was passed: the backup was restored and found equal. */
export async function recordTestPassed(
  deps: Deps,
  { jobId, report, seconds }: { jobId: string; report: RestoreReport; seconds: number },
): Promise<void> {
  const { backupId, comparison, rowsLoaded } = report;
  await unlessUnwritable(deps, backupId, async () => {
    await deps.state.tests.finish({
      ...{
        jobId,
        success: true,
        restoreSeconds: seconds,
        samplesVerified: comparison?.objects ?? 0,
      },
      dataVerified: { objects: comparison?.objects ?? 0, rows: rowsLoaded },
    });
    await deps.state.backups.markTested(backupId, deps.clock.now());
  });
}

/**
 * A test is over; what was passed is recorded already. Of one that was cancelled nothing is known. One that
 * never came to its beginning is over too: otherwise it would be asked for again and again.
 */
export async function recordTestEnd(deps: Deps, test: TestJob, how: JobEnd): Promise<void> {
  if (how === "begins-again") return;
  const { jobId } = test.job;
  await recordTestBegin(deps, test);
  await unlessUnwritable(deps, test.backupId, async () => {
    const { error } = await getJob(deps, jobId, "restore");
    await deps.state.tests.finish({
      ...{ jobId, success: how === "cancelled" ? null : how === "completed" },
      ...(error === null ? {} : { errors: [{ code: error.code, message: error.message }] }),
    });
  });
}

async function unlessUnwritable(
  deps: Deps,
  about: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    deps.reportError(error, `record the restore test of ${about}`);
  }
}
