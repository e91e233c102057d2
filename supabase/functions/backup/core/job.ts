/**
 * A job: one run of a use-case, as the tables, the API and the engine all see it.
 *
 * @module
 */
import type { Progress } from "./progress.ts";

/** Which list a job belongs to. */
export const JOB_KINDS = ["backup", "restore", "verify"] as const;

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
  /** The backup that is restored or verified; a backup job's own id is its backup's. */
  backupId: string | null;
  startedAt: string;
  completedAt: string | null;
  reason: string | null;
  /** Name of the key that asked for it. */
  createdBy: string | null;
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
