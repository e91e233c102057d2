/**
 * What steps that restore from a backup, or compare with one, have in common.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import { fromJobError, type Job, type JobType } from "../../core/job.ts";
import { cancelJob } from "../../usecases/jobs/cancel_job.ts";
import { getJob } from "../../usecases/jobs/get_job.ts";
import type { StepContext, StepEnd, StepOutcome } from "../step.ts";

/** Parameters of a step of type `backup_restore`. */
export interface RestoreParameters {
  backupType: JobType;
  useLatest: boolean;
  /** Instead of the latest. */
  backupId?: string | undefined;
  /** Changes nothing, and tells what differs from the backup. */
  checkOnly: boolean;
  /** With `checkOnly`: the step fails when what was restored does not match the backup. */
  mustMatch: boolean;
  /** For items: only these keys, or beginnings of keys that end with `/`. */
  items?: string[] | undefined;
  /** Hazards that the plan's author accepts, as the restore names them. */
  acceptHazards: string[];
}

/** A step with its parameters read. */
export type RestoreWork = StepContext & { parameters: RestoreParameters };

/** How one type of backup is assessed, restored and verified. */
export interface Restoring {
  run(work: RestoreWork): Promise<StepOutcome>;
  conclude(work: RestoreWork, jobId: string): Promise<StepEnd>;
}

/**
 * The backup that the step is about. All steps of an execution speak of the same one: a newer backup that
 * comes up meanwhile may hold the damage.
 */
export function backupOf({ parameters, earlier }: RestoreWork): string {
  if (parameters.backupId !== undefined) return parameters.backupId;
  for (const { details } of earlier.values()) {
    const { backupType, backupId } = details;
    if (backupType === parameters.backupType && typeof backupId === "string") return backupId;
  }
  return "latest";
}

/** What earlier steps of this type of backup tell of themselves. */
export function earlierDetails({ parameters, earlier }: RestoreWork): StepEnd["details"][] {
  return [...earlier.values()].map(({ details }) => details)
    .filter(({ backupType }) => backupType === parameters.backupType);
}

/** Why the restore is made; kept with its job. */
export function reasonOf({ execution, step }: RestoreWork): string {
  return `step ${step.id} of ${execution.executionId}`;
}

export function waitingFor(job: Job, found: string): StepOutcome {
  return { state: "waiting", jobId: job.jobId, kind: job.kind, found };
}

/** The job that was waited for. @throws its error, `cancelled` when somebody stopped it */
export async function completedJob({ deps }: RestoreWork, jobId: string): Promise<Job> {
  const job = await getJob(deps, jobId, "restore");
  if (job.status === "completed") return job;
  if (job.error !== null) throw fromJobError(job.error);
  throw new BackupError("cancelled", `Cannot go on: job ${jobId} is ${job.status}`);
}

/**
 * Starts a restore. A backup of the same type that is in its way is stopped: it would save the damage.
 *
 * @throws `conflict` when another restore is in the way; what `start` throws
 */
export async function startOverBackup(
  { deps, caller }: RestoreWork,
  start: () => Promise<Job>,
): Promise<Job> {
  try {
    return await start();
  } catch (thrown) {
    const { code, details } = toBackupError(thrown);
    if (code !== "conflict" || details?.kind !== "backup") throw thrown;
    await cancelJob(deps, caller, String(details.jobId));
    return await start();
  }
}
