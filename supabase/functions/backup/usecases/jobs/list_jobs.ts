/**
 * Lists jobs, newest first. With the tables out of reach it lists what storage and this worker know.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import type { JobFilter } from "../../state/job_tables.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import type { Deps } from "../deps.ts";
import { jobOfStored, withProgress } from "./get_job.ts";
import { readStoredBackups } from "../service/stored_backups.ts";

/** A page of jobs. `from` says where the list comes from. */
export interface JobPage {
  jobs: Job[];
  total: number;
  limit: number;
  offset: number;
  from: "tables" | "storage";
}

export async function listJobs(deps: Deps, filter: JobFilter): Promise<JobPage> {
  const { limit, offset } = filter;
  try {
    const page = await deps.state.jobs.list(filter);
    const jobs = await Promise.all(page.jobs.map((job) => withProgress(deps, job)));
    return { jobs, total: page.total, limit, offset, from: "tables" };
  } catch (error) {
    const failure = toBackupError(error);
    if (!isStateUnavailable(failure) && failure.code !== "invalid_config") throw failure;
    const all = await withoutTables(deps, filter);
    return {
      jobs: all.slice(offset, offset + limit),
      total: all.length,
      limit,
      offset,
      from: "storage",
    };
  }
}

async function withoutTables(deps: Deps, filter: JobFilter): Promise<Job[]> {
  const here = deps.jobs.all().filter((job) => job.kind === filter.kind);
  const known = new Set(here.map((job) => job.jobId));
  const stored = filter.kind !== "backup"
    ? []
    : (await readStoredBackups(deps, (await deps.settings()).settings))
      .filter((backup) => !known.has(backup.backupId))
      .map(jobOfStored);
  return [...here, ...stored]
    .filter((job) => filter.type === undefined || job.type === filter.type)
    .filter((job) => filter.status === undefined || job.status === filter.status)
    .sort((a, b) => (a.jobId < b.jobId ? 1 : -1));
}
