/**
 * The rows that users see of jobs: `backup_jobs`, `restore_jobs` and the private `verify_jobs`, which have
 * the same shape. What happens to them happens in the transaction of whoever calls.
 *
 * @module
 */
import type postgres from "postgres";
import { excludedKinds, type Job, type JobKind } from "../core/job.ts";
import { summaryFirst } from "../core/json.ts";
import type { Progress } from "../core/progress.ts";
import type { Sql } from "./database.ts";

/** The table of each kind of job. */
export const TABLES: Record<JobKind, string> = {
  backup: "public.backup_jobs",
  restore: "public.restore_jobs",
  verify: "backup_internal.verify_jobs",
  recovery: "backup_internal.recovery_jobs",
  cleanup: "backup_internal.cleanup_jobs",
  replicate: "backup_internal.replicate_jobs",
};

/** A running job without parts that has not shown life for so long has lost its worker. */
export const STALE_SECONDS = 60;

/** Marks running jobs that nobody can go on with as failed: those without parts and without life. */
export async function failInterrupted(sql: Sql): Promise<void> {
  for (const table of Object.values(TABLES)) {
    await sql`
      update ${sql.unsafe(table)} set status = 'failed', completed_at = now(), updated_at = now(),
        error_message = 'Cannot finish the job: the worker that did it is gone',
        metadata = metadata || '{"error": {"code": "interrupted",
          "message": "Cannot finish the job: the worker that did it is gone",
          "hint": "Start it again; what was stored is used again."}}'::jsonb
      where status = 'running' and updated_at < now() - make_interval(secs => ${STALE_SECONDS})
        and job_id not in (select job_id from backup_internal.job_runs)`;
  }
}

/** A running job that excludes another of this kind and type. */
export async function findRunning(
  sql: Sql,
  job: Job,
): Promise<Pick<Job, "jobId" | "kind" | "type"> | null> {
  for (const kind of excludedKinds(job.kind)) {
    const rows = await sql`
      select job_id, type from ${sql.unsafe(TABLES[kind])}
      where status = 'running' and type = ${job.type} and job_id <> ${job.jobId} limit 1`;
    if (rows[0]) return { jobId: rows[0].job_id, kind, type: rows[0].type };
  }
  return null;
}

/**
 * Adds the row of a job that runs, unless it is there. A backup that was pending runs from now on; false
 * when it is none that may run, because somebody has taken it back.
 */
export async function insertRunning(sql: Sql, job: Job): Promise<boolean> {
  if (job.kind === "backup") {
    const rows = await sql`
      insert into public.backup_jobs
        (job_id, type, status, started_at, reason, created_by, components, recovery_point_id)
      values (${job.jobId}, ${job.type}, 'running', ${job.startedAt}, ${job.reason}, ${job.createdBy},
        ${sql.json([job.type])}, ${job.recoveryPointId})
      on conflict (job_id) do update set status = 'running', started_at = excluded.started_at,
        updated_at = now(), reason = coalesce(backup_jobs.reason, excluded.reason),
        created_by = coalesce(backup_jobs.created_by, excluded.created_by)
        where backup_jobs.status = 'pending'
      returning job_id`;
    return rows.length > 0;
  } else {
    // A restore finds the newest later; a verification of no certain backup, and a cleanup, are of all.
    const backupId = job.backupId ?? (job.kind === "restore" ? "latest" : null);
    await sql`
      insert into ${sql.unsafe(TABLES[job.kind])}
        (job_id, backup_id, type, status, started_at, reason, created_by)
      values (${job.jobId}, ${backupId}, ${job.type}, 'running', ${job.startedAt},
        ${job.reason}, ${job.createdBy})
      on conflict (job_id) do nothing`;
    return true;
  }
}

/** Writes the end of a job into its row, and what it came to. */
export async function writeEnd(sql: Sql, job: Job): Promise<void> {
  const { progress, result, error } = job;
  await sql`
    update ${sql.unsafe(TABLES[job.kind])} set
      status = ${job.status}, completed_at = coalesce(${job.completedAt}::timestamptz, now()),
      updated_at = now(), error_message = ${error?.message ?? null},
      metadata = metadata || ${sql.json(toJson({ progress, result, error }))}
    where job_id = ${job.jobId}`;
  if (job.kind === "backup") {
    await sql`
      update public.backup_jobs set size_bytes = ${job.sizeBytes}, checksum = ${job.checksum},
        location = ${job.location}, locations = ${sql.json(locationsOf(job.location))},
        compressed_size_bytes = ${countOf(result, "newStoredBytes")},
        tables_included = ${countOf(result, "tables")}
      where job_id = ${job.jobId}`;
  } else if (job.backupId !== null) {
    await sql`
      update ${sql.unsafe(TABLES[job.kind])} set backup_id = ${job.backupId}
      where job_id = ${job.jobId}`;
  }
}

/** Where the copies of a backup are. */
export function locationsOf(location: string | null): { copy: string; location: string }[] {
  return location === null ? [] : [{ copy: "primary", location }];
}

/** A total of a finished backup; null while there is none. */
function countOf(result: Job["result"], name: "newStoredBytes" | "tables"): number | null {
  const count = (result?.totals as Record<string, unknown> | undefined)?.[name];
  return typeof count === "number" ? count : null;
}

/** Writes progress into the row, at most every so many seconds. */
export async function writeProgress(
  sql: Sql,
  { jobId, kind, progress }: { jobId: string; kind: JobKind; progress: Progress },
  { everySeconds = 2 }: { everySeconds?: number } = {},
): Promise<void> {
  await sql`
    update ${sql.unsafe(TABLES[kind])} set updated_at = now(),
      metadata = metadata || ${sql.json(toJson({ progress }))}
    where job_id = ${jobId} and status = 'running'
      and (updated_at < now() - make_interval(secs => ${everySeconds})
        or not metadata ? 'progress')`;
}

/** A row as a job. */
export function toJob(row: postgres.Row, kind: JobKind): Job {
  const metadata = (row.metadata ?? {}) as Partial<Pick<Job, "progress" | "result" | "error">>;
  return {
    jobId: row.job_id,
    kind,
    type: row.type,
    status: row.status,
    backupId: kind === "backup" ? row.job_id : row.backup_id,
    startedAt: row.started_at.toISOString(),
    completedAt: row.completed_at?.toISOString() ?? null,
    reason: row.reason,
    createdBy: row.created_by,
    recoveryPointId: row.recovery_point_id ?? null,
    sizeBytes: row.size_bytes === null || row.size_bytes === undefined
      ? null
      : Number(row.size_bytes),
    checksum: row.checksum ?? null,
    location: row.location ?? null,
    error: metadata.error ??
      (row.error_message === null ? null : { code: "internal", message: row.error_message }),
    progress: metadata.progress ?? null,
    result: summaryFirst(metadata.result ?? null),
    recorded: true,
  };
}

/** A value as the driver takes it for jsonb. */
export function toJson(value: unknown): postgres.JSONValue {
  return JSON.parse(JSON.stringify(value));
}
