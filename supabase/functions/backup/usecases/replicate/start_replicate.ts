/**
 * Starts a replication as a job: the backups of the primary storage are copied to another destination.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import type { Caller, Deps } from "../deps.ts";
import type { JobRequest } from "../jobs/job_request.ts";

/** What is asked of a replication. */
export interface ReplicateRequest {
  /** Name of the destination. */
  destination: string;
  /** `quick` compares names and sizes; `full` reads everything in the copy back too. */
  level: "quick" | "full";
  dryRun: boolean;
}

/** @throws `invalid_request` when there is no such destination, `conflict`, `key_wrong`, `storage_*` */
export function startReplicate(
  _deps: Deps,
  _caller: Caller,
  _request: ReplicateRequest,
): Promise<Job> {
  return Promise.reject(new BackupError("internal", "Cannot replicate: not written yet"));
}

/** What such a job is made of. */
export function defineReplicate(
  _deps: Deps,
  _job: Job,
  _asked: JobRequest & { task: "replicate" },
): Promise<JobDefinition> {
  return Promise.reject(new BackupError("internal", "Cannot replicate: not written yet"));
}
