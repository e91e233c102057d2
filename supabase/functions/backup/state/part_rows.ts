/**
 * Rows of `job_runs` and `job_parts` as values, and the statements that several rules of the store share.
 *
 * @module
 */
import type postgres from "postgres";
import type { ErrorCode } from "../core/errors.ts";
import type { JobKind, JobStatus } from "../core/job.ts";
import type { Json, NewPart } from "../core/part.ts";
import { END_STEP } from "../core/part.ts";
import { type Progress, progressOf } from "../core/progress.ts";
import type { Sql } from "./database.ts";

/** A job that is not over. */
export interface JobRun {
  jobId: string;
  kind: JobKind;
  status: JobStatus;
  request: Json;
  first: NewPart[];
  maxWorkers: number;
  maxAttempts: number;
  maxRounds: number;
  cancel: boolean;
  round: number;
  /** See `JOB_FORM`. */
  form: number;
  /** No worker has shown any life for longer than the platform lets one live. */
  isLeft: boolean;
}

/** A part that a worker holds, or held until its lease ended. */
export interface LeasedPart {
  part: number;
  round: number;
  step: number;
  name: string;
  worker: string;
  attempt: number;
  live: boolean;
}

/** What the store takes for the present moment: SQL, so that the server's clock alone counts. */
export type ServerNow = (sql: Sql) => postgres.PendingQuery<postgres.Row[]>;

/** JSON as ASCII: a database in any encoding can hold it, and it may hold what `jsonb` may not. */
export function toAsciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** No hosted worker lives for longer. */
const LIFE_MINUTES = 10;

/** Takes the job for the transaction: what is decided of it is decided by one worker at a time. */
export async function lockRun(sql: Sql, jobId: string, now: ServerNow): Promise<JobRun | null> {
  // The form by its name, so that tables which lack it are told what they are.
  const [row] = await sql`
    select *, form, touched_at < ${now(sql)} - make_interval(mins => ${LIFE_MINUTES}) as is_left
      from backup_internal.job_runs where job_id = ${jobId} for update`;
  if (row === undefined) return null;
  return {
    jobId,
    kind: row.kind,
    status: row.status,
    request: JSON.parse(row.request),
    first: JSON.parse(row.first_parts),
    maxWorkers: row.max_workers,
    maxAttempts: row.max_attempts,
    maxRounds: row.max_rounds,
    cancel: row.cancel_requested,
    round: row.round,
    form: row.form,
    isLeft: row.is_left,
  };
}

/** All parts that have a lease, in force or not. */
export async function leasedParts(sql: Sql, jobId: string, now: ServerNow): Promise<LeasedPart[]> {
  const rows = await sql`
    select part, round, step, name, worker, attempt, lease_until > ${now(sql)} as live
      from backup_internal.job_parts where job_id = ${jobId} and lease_until is not null
     order by part`;
  return rows.map(({ part, round, step, name, worker, attempt, live }) => (
    { part, round, step, name, worker, attempt, live }
  ));
}

/** Parts to one statement. */
const BATCH = 500;

/** Adds parts to a round of a job that is locked. */
export async function insertParts(
  sql: Sql,
  { jobId, round }: { jobId: string; round: number },
  parts: readonly NewPart[],
): Promise<void> {
  if (parts.length === 0) return;
  for (let at = 0; at < parts.length; at += BATCH) {
    const batch = parts.slice(at, at + BATCH).map(({ step, name, payload, bytes }) => (
      { step, name, payload: toAsciiJson(payload), bytes: Math.round(bytes) }
    ));
    await sql`
      with taken as (
        update backup_internal.job_runs set next_part = next_part + ${batch.length}
         where job_id = ${jobId} returning next_part - ${batch.length} as first)
      insert into backup_internal.job_parts (job_id, part, round, step, name, payload, bytes)
      select ${jobId}, taken.first + p.place - 1, ${round}, p.step, p.name, p.payload, p.bytes
        from taken, rows from (
          json_to_recordset(${toAsciiJson(batch)}::text::json)
            as (step integer, name text, payload text, bytes bigint))
          with ordinality as p (step, name, payload, bytes, place)`;
  }
  const counted = parts.filter(({ step }) => step !== END_STEP);
  const bytes = counted.reduce((sum, part) => sum + Math.round(part.bytes), 0);
  await sql`
    update backup_internal.job_runs set parts = parts + ${counted.length}, bytes = bytes + ${bytes}
     where job_id = ${jobId}`;
}

/** How far a job is, by its counts and what its running parts have reported. */
export async function readProgress(
  sql: Sql,
  jobId: string,
  now: ServerNow,
): Promise<{ kind: JobKind; progress: Progress } | null> {
  const [row] = await sql`
    select kind, phase, parts, parts_done, bytes,
           bytes_done + coalesce((select sum(p.bytes_done) from backup_internal.job_parts p
                                   where p.job_id = j.job_id and p.lease_until is not null
                                     and p.state = 'waiting'), 0) as bytes_done,
           coalesce(extract(epoch from ${now(sql)} - moving_since), 0)::float8 as seconds
      from backup_internal.job_runs j where job_id = ${jobId}`;
  if (row === undefined) return null;
  const progress = progressOf({
    phase: row.phase,
    parts: row.parts,
    partsDone: row.parts_done,
    bytes: Number(row.bytes),
    bytesDone: Number(row.bytes_done),
    seconds: row.seconds,
  });
  return { kind: row.kind, progress };
}

/** An error's code as a part's row keeps it. */
export function toPrevious(text: string | null): ErrorCode | null {
  return text as ErrorCode | null;
}
