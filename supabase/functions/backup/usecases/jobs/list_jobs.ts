/**
 * Lists jobs, newest first. With the tables out of reach it lists what storage and this worker know.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { typeOfJobId } from "../../core/ids.ts";
import type { Job } from "../../core/job.ts";
import type { JobFilter } from "../../state/job_tables.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import type { Deps } from "../deps.ts";
import { momentOf } from "../restore/lost_backups.ts";
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
    return { ...await withoutTables(deps, filter), limit, offset, from: "storage" };
  }
}

/** Of the backups in storage only those of the page are read. */
async function withoutTables(
  deps: Deps,
  { kind, type, status, limit, offset }: JobFilter,
): Promise<{ jobs: Job[]; total: number }> {
  const here = new Map(
    deps.jobs.all().filter((job) =>
      job.kind === kind && (type ?? job.type) === job.type && (status ?? job.status) === job.status
    ).map((job) => [job.jobId, job]),
  );
  const known = new Set(deps.jobs.all().map(({ jobId }) => jobId));
  const isWanted = (id: string) => !known.has(id) && (type ?? typeOfJobId(id)) === typeOfJobId(id);
  const all = [...here.keys()];
  const pageOf = (ids: string[]) =>
    ids.sort((a, b) => (momentOf(a) < momentOf(b) ? 1 : -1)).slice(offset, offset + limit);
  // What storage lists is complete; of other kinds it has no jobs.
  const hasStored = kind === "backup" && (status ?? "completed") === "completed";
  const stored = !hasStored ? [] : await readStoredBackups(deps, (ids) => {
    all.push(...ids.filter(isWanted));
    return pageOf(all).filter((id) => !here.has(id));
  });
  const byId = new Map(stored.map((backup) => [backup.backupId, jobOfStored(backup)]));
  const jobs = pageOf(all).flatMap((id) => here.get(id) ?? byId.get(id) ?? []);
  return { jobs, total: all.length };
}
