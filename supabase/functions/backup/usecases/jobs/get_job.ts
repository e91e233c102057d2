/**
 * Finds a job: in this worker, in the tables, and for backups in storage.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import { isJobId } from "../../core/ids.ts";
import { isFinished, type Job, type JobKind } from "../../core/job.ts";
import type { StoredBackup } from "../../state/job_tables.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import type { Deps } from "../deps.ts";
import { readStoredBackups } from "../service/stored_backups.ts";

/** @throws `not_found` */
export async function getJob(deps: Deps, jobId: string, kind?: JobKind): Promise<Job> {
  const wanted = kind ?? kindOf(jobId);
  const here = deps.jobs.get(jobId);
  if (here && here.kind === wanted) return here;
  const job = isJobId(jobId) ? await findRecorded(deps, jobId, wanted) : null;
  if (job) return job;
  throw new BackupError("not_found", `Cannot find the ${wanted} job ${jobId}: there is none`, {
    hint: "List the jobs with action=jobs.",
  });
}

async function findRecorded(deps: Deps, jobId: string, kind: JobKind): Promise<Job | null> {
  try {
    const job = await deps.state.jobs.get(jobId, kind);
    return job === null ? null : await withProgress(deps, job);
  } catch (error) {
    const failure = toBackupError(error);
    if (!isStateUnavailable(failure) || kind !== "backup") throw failure;
    const [stored] = await readStoredBackups(deps, (ids) => ids.filter((id) => id === jobId));
    return stored ? jobOfStored(stored) : null;
  }
}

/** A running job with its progress as it is now; its row has it some seconds later. */
export async function withProgress(deps: Deps, job: Job): Promise<Job> {
  if (isFinished(job)) return job;
  const progress = await deps.state.parts.progress(job.jobId);
  return progress === null ? job : { ...job, progress };
}

/** The job that a complete backup in storage must have come from. */
export function jobOfStored(backup: StoredBackup): Job {
  return {
    jobId: backup.backupId,
    kind: "backup",
    type: backup.type,
    status: "completed",
    backupId: backup.backupId,
    startedAt: backup.createdAt,
    completedAt: backup.completedAt,
    reason: backup.reason,
    createdBy: null,
    recoveryPointId: null,
    sizeBytes: backup.rawBytes,
    checksum: backup.checksum,
    location: backup.location,
    error: null,
    progress: null,
    result: backup.result,
    recorded: false,
  };
}

function kindOf(jobId: string): JobKind {
  if (jobId.startsWith("restore_")) return "restore";
  if (jobId.startsWith("recovery_")) return "recovery";
  if (jobId.startsWith("cleanup_")) return "cleanup";
  if (jobId.startsWith("replicate_")) return "replicate";
  return jobId.startsWith("verify_") ? "verify" : "backup";
}
