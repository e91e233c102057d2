/**
 * The three tables of jobs, which have the same shape: `backup_jobs`, `restore_jobs` and the private
 * `verify_jobs`.
 *
 * @module
 */
import type postgres from "postgres";
import { BackupError } from "../core/errors.ts";
import type { Job, JobKind, JobStatus, JobType } from "../core/job.ts";
import type { Sql, StateDatabase } from "./database.ts";
import { isStateUnavailable, toStateError } from "./state_error.ts";

/** A running job that has not shown life for so long has lost its worker. */
export const STALE_SECONDS = 60;

const TABLES: Record<JobKind, string> = {
  backup: "public.backup_jobs",
  restore: "public.restore_jobs",
  verify: "backup_internal.verify_jobs",
};

/** Held while a job begins: two workers cannot both find that none runs. */
const BEGIN_LOCK = "7277816997830722";

/** What a listing may be narrowed to. */
export interface JobFilter {
  kind: JobKind;
  type?: JobType;
  status?: JobStatus;
  limit: number;
  offset: number;
}

/** A backup that storage has, as far as its row says it. */
export interface StoredBackup {
  backupId: string;
  type: JobType;
  createdAt: string;
  completedAt: string;
  reason: string | null;
  rawBytes: number;
  newStoredBytes: number;
  tables: number;
  checksum: string;
  location: string;
  /** The rest, for the job's result. */
  result: Record<string, unknown>;
}

/** Rows of jobs. */
export class JobTables {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /**
   * Records a running job; jobs whose worker is gone are marked first.
   *
   * @throws `conflict` naming the job that runs
   */
  async begin(job: Job): Promise<{ recorded: boolean }> {
    return await this.#unlessUnavailable(async () => {
      await this.#database.transaction("record a job", async (sql) => {
        await sql`select pg_catalog.pg_advisory_xact_lock(${BEGIN_LOCK}::bigint)`;
        await failInterrupted(sql);
        const running = await findRunning(sql, job);
        if (running) {
          throw new BackupError(
            "conflict",
            `Cannot start: ${running.kind} job ${running.jobId} is running`,
            {
              hint: `Wait for it (action=job&jobId=${running.jobId}) or stop it (action=cancel).`,
              details: running,
            },
          );
        }
        await insertRunning(sql, job);
      });
    });
  }

  /**
   * Records progress and life.
   *
   * @throws `interrupted` when another worker has given the job up meanwhile
   */
  async beat(job: Job): Promise<{ cancelRequested: boolean }> {
    try {
      const rows = await this.#database.run("record progress", (sql) =>
        sql`
          update ${sql.unsafe(TABLES[job.kind])} set updated_at = now(),
            metadata = metadata || ${sql.json(progressOf(job))}
          where job_id = ${job.jobId}
          returning status, coalesce((metadata->>'cancelRequested')::boolean, false) as cancel`);
      const row = rows[0];
      if (row && row.status !== "running") {
        throw new BackupError(
          "interrupted",
          `Cannot go on with ${job.jobId}: its row says ${row.status}`,
          { hint: "Another worker found no sign of life from this one. Start a new job." },
        );
      }
      return { cancelRequested: row?.cancel === true };
    } catch (error) {
      const failure = toStateError(error, "record progress");
      if (isStateUnavailable(failure)) return { cancelRequested: false };
      throw failure;
    }
  }

  /** Records the end of a job, also of one whose beginning could not be recorded. */
  async finish(job: Job): Promise<{ recorded: boolean }> {
    return await this.#unlessUnavailable(async () => {
      await this.#database.transaction("record the end of a job", async (sql) => {
        await insertRunning(sql, job);
        await sql`
          update ${sql.unsafe(TABLES[job.kind])} set
            status = ${job.status}, completed_at = ${job.completedAt}, updated_at = now(),
            error_message = ${job.error?.message ?? null},
            metadata = metadata || ${sql.json(endOf(job))}
          where job_id = ${job.jobId}`;
        if (job.kind === "backup") {
          await sql`
            update public.backup_jobs set size_bytes = ${job.sizeBytes}, checksum = ${job.checksum},
              location = ${job.location}
            where job_id = ${job.jobId}`;
        } else if (job.backupId !== null) {
          await sql`
            update ${sql.unsafe(TABLES[job.kind])} set backup_id = ${job.backupId}
            where job_id = ${job.jobId}`;
        }
      });
    });
  }

  /** One job, null when no table has it. */
  async get(jobId: string, kind: JobKind): Promise<Job | null> {
    const rows = await this.#database.run("read a job", async (sql) => {
      await failInterrupted(sql);
      return await sql`select * from ${sql.unsafe(TABLES[kind])} where job_id = ${jobId}`;
    });
    return rows[0] ? toJob(rows[0], kind) : null;
  }

  /** Jobs, newest first, and how many there are in all. */
  async list(filter: JobFilter): Promise<{ jobs: Job[]; total: number }> {
    return await this.#database.run("list jobs", async (sql) => {
      await failInterrupted(sql);
      const table = sql.unsafe(TABLES[filter.kind]);
      const where = sql`
        where (${filter.type ?? null}::text is null or type = ${filter.type ?? null})
          and (${filter.status ?? null}::text is null or status = ${filter.status ?? null})`;
      const rows = await sql`
        select * from ${table} ${where}
        order by started_at desc, job_id desc limit ${filter.limit} offset ${filter.offset}`;
      const [count] = await sql`select count(*)::integer as total from ${table} ${where}`;
      return { jobs: rows.map((row) => toJob(row, filter.kind)), total: Number(count?.total ?? 0) };
    });
  }

  /** Leaves a wish to stop for the worker that runs the job. */
  async requestCancel(job: Job): Promise<void> {
    await this.#database.run("ask a job to stop", (sql) =>
      sql`
        update ${sql.unsafe(TABLES[job.kind])}
        set metadata = metadata || '{"cancelRequested": true}'::jsonb
        where job_id = ${job.jobId} and status = 'running'`);
  }

  /** Adds rows for backups that are in storage and not in the table; returns their ids. */
  async addFromStorage(backups: readonly StoredBackup[]): Promise<string[]> {
    return await this.#database.run("rebuild the list of backups", async (sql) => {
      const added: string[] = [];
      for (const backup of backups) {
        const metadata = toJson({ result: backup.result, rebuiltFromStorage: true });
        const rows = await sql`
          insert into public.backup_jobs
            (job_id, type, status, started_at, completed_at, size_bytes, checksum, location, reason,
             metadata, compressed_size_bytes, tables_included, components)
          values (${backup.backupId}, ${backup.type}, 'completed', ${backup.createdAt},
            ${backup.completedAt}, ${backup.rawBytes}, ${backup.checksum}, ${backup.location},
            ${backup.reason}, ${sql.json(metadata)}, ${backup.newStoredBytes}, ${backup.tables},
            ${sql.json([backup.type])})
          on conflict (job_id) do nothing returning job_id`;
        if (rows.length > 0) added.push(backup.backupId);
      }
      return added;
    });
  }

  /** Marks running jobs without life as failed. */
  async failInterrupted(): Promise<void> {
    await this.#database.run("look for interrupted jobs", (sql) => failInterrupted(sql));
  }

  async #unlessUnavailable(work: () => Promise<void>): Promise<{ recorded: boolean }> {
    try {
      await work();
      return { recorded: true };
    } catch (error) {
      const failure = toStateError(error, "record a job");
      if (isStateUnavailable(failure) || failure.code === "invalid_config") {
        return { recorded: false };
      }
      throw failure;
    }
  }
}

async function failInterrupted(sql: Sql): Promise<void> {
  for (const table of Object.values(TABLES)) {
    await sql`
      update ${sql.unsafe(table)} set status = 'failed', completed_at = now(), updated_at = now(),
        error_message = 'Cannot finish the job: the worker that did it is gone',
        metadata = metadata || '{"error": {"code": "interrupted",
          "message": "Cannot finish the job: the worker that did it is gone",
          "hint": "Start it again; what was stored is used again."}}'::jsonb
      where status = 'running' and updated_at < now() - make_interval(secs => ${STALE_SECONDS})`;
  }
}

async function findRunning(
  sql: Sql,
  job: Job,
): Promise<{ jobId: string; kind: JobKind; type: string } | null> {
  const kinds: JobKind[] = job.kind === "verify" ? ["verify"] : ["backup", "restore"];
  for (const kind of kinds) {
    const rows = await sql`
      select job_id, type from ${sql.unsafe(TABLES[kind])}
      where status = 'running' and type = ${job.type} and job_id <> ${job.jobId} limit 1`;
    if (rows[0]) return { jobId: rows[0].job_id, kind, type: rows[0].type };
  }
  return null;
}

async function insertRunning(sql: Sql, job: Job): Promise<void> {
  if (job.kind === "backup") {
    await sql`
      insert into public.backup_jobs (job_id, type, status, started_at, reason, created_by, components)
      values (${job.jobId}, ${job.type}, 'running', ${job.startedAt}, ${job.reason}, ${job.createdBy},
        ${sql.json([job.type])})
      on conflict (job_id) do nothing`;
  } else {
    await sql`
      insert into ${sql.unsafe(TABLES[job.kind])}
        (job_id, backup_id, type, status, started_at, reason, created_by)
      values (${job.jobId}, ${job.backupId ?? "latest"}, ${job.type}, 'running', ${job.startedAt},
        ${job.reason}, ${job.createdBy})
      on conflict (job_id) do nothing`;
  }
}

function progressOf(job: Job): postgres.JSONValue {
  return toJson({ progress: job.progress });
}

function endOf(job: Job): postgres.JSONValue {
  return toJson({ progress: job.progress, result: job.result, error: job.error });
}

function toJson(value: unknown): postgres.JSONValue {
  return JSON.parse(JSON.stringify(value));
}

function toJob(row: postgres.Row, kind: JobKind): Job {
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
    sizeBytes: row.size_bytes === null || row.size_bytes === undefined
      ? null
      : Number(row.size_bytes),
    checksum: row.checksum ?? null,
    location: row.location ?? null,
    error: metadata.error ??
      (row.error_message === null ? null : { code: "internal", message: row.error_message }),
    progress: metadata.progress ?? null,
    result: metadata.result ?? null,
    recorded: true,
  };
}
