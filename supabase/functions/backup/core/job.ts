/**
 * A job: one run of a use-case, as the tables, the API and the engine all see it.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "./errors.ts";
import type { JobOutcome } from "./part.ts";
import type { Progress } from "./progress.ts";

/** Which list a job belongs to. */
export const JOB_KINDS = [
  "backup",
  "restore",
  "verify",
  "recovery",
  "cleanup",
  "replicate",
] as const;

/** One of {@linkcode JOB_KINDS}. */
export type JobKind = typeof JOB_KINDS[number];

/** What is backed up or restored. */
export const JOB_TYPES = ["database", "function", "config", "secrets", "files"] as const;

/** One of {@linkcode JOB_TYPES}. */
export type JobType = typeof JOB_TYPES[number];

/** Where a job is in its life. */
export const JOB_STATUSES = ["pending", "running", "completed", "failed", "cancelled"] as const;

/** One of {@linkcode JOB_STATUSES}. */
export type JobStatus = typeof JOB_STATUSES[number];

/** An error as a job keeps it. */
export interface JobError {
  code: string;
  message: string;
  hint?: string;
  details?: Record<string, unknown>;
}

/** A job. Times are ISO 8601 in UTC. */
export interface Job {
  jobId: string;
  kind: JobKind;
  type: JobType;
  status: JobStatus;
  /**
   * The backup that is restored or verified. A backup job's own id is its backup's; a recovery has that of its
   * plan here, a replication the name of its destination.
   */
  backupId: string | null;
  startedAt: string;
  completedAt: string | null;
  reason: string | null;
  /** Name of the key that asked for it. */
  createdBy: string | null;
  /** The recovery point that a backup is made for, with backups of other types. */
  recoveryPointId: string | null;
  sizeBytes: number | null;
  checksum: string | null;
  location: string | null;
  error: JobError | null;
  progress: Progress | null;
  /** What the use-case answered, null until it is done. */
  result: Record<string, unknown> | null;
  /** False when the tables could not be written: the job is then known to this worker only. */
  recorded: boolean;
}

/** Whether nothing will happen to the job any more. */
export function isFinished(job: Job): boolean {
  return job.status === "completed" || job.status === "failed" || job.status === "cancelled";
}

/** A job to start. */
export type NewJob =
  & Pick<Job, "jobId" | "kind" | "type" | "backupId" | "reason" | "createdBy">
  & Partial<Pick<Job, "recoveryPointId">>;

/** The job as it begins. */
export function newJob(start: NewJob, at: Date): Job {
  return {
    recoveryPointId: null,
    ...start,
    status: "running",
    startedAt: at.toISOString(),
    completedAt: null,
    sizeBytes: null,
    checksum: null,
    location: null,
    error: null,
    progress: null,
    result: null,
    recorded: false,
  };
}

/**
 * The kinds of job of the same type that a job cannot run beside. A verification only reads storage, a
 * cleanup is told from backups by what they leave in storage, and a replication copies what it finds.
 */
export function excludedKinds(kind: JobKind): readonly JobKind[] {
  if (kind === "recovery") return []; // two runs of one plan are told apart by the plan
  return kind === "backup" || kind === "restore" ? ["backup", "restore"] : [kind];
}

/** The refusal to start beside another job. */
export function conflictWith(job: Pick<Job, "jobId" | "kind" | "type">): BackupError {
  const { jobId, kind, type } = job;
  return new BackupError("conflict", `Cannot start: ${kind} job ${jobId} is running`, {
    hint: `Wait for it (action=job&jobId=${jobId}) or stop it (action=cancel).`,
    details: { jobId, kind, type },
  });
}

/** An error as a job keeps it: a defect's own message may quote anything, so it stays in the log. */
export function toJobError(error: BackupError): JobError {
  if (error.code === "internal") {
    return {
      code: error.code,
      message: "Cannot finish the job: an unexpected error, written to the function's log",
    };
  }
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}

/** The error that a job keeps, as one to throw. */
export function fromJobError(error: JobError): BackupError {
  const { code, message, hint, details } = error;
  return new BackupError(code as ErrorCode, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(details === undefined ? {} : { details }),
  });
}

/** What a job has come to, from its last part. */
export function outcomeFields(outcome: JobOutcome): Partial<Job> {
  const { result, sizeBytes, checksum, location, backupId } = outcome;
  return {
    result,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(location === undefined ? {} : { location }),
    ...(backupId === undefined ? {} : { backupId }),
  };
}
