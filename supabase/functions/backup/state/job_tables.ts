/**
 * The three tables of jobs, which have the same shape: `backup_jobs`, `restore_jobs` and the private
 * `verify_jobs`.
 *
 * @module
 */
import { isFinished, type Job, type JobKind, type JobStatus, type JobType } from "../core/job.ts";
import type { StateDatabase } from "./database.ts";
import {
  failInterrupted,
  insertRunning,
  locationsOf,
  TABLES,
  toJob,
  toJson,
  writeEnd,
} from "./job_rows.ts";
import { listedMetadata } from "./listed_metadata.ts";
import { isStateUnavailable, toStateError } from "./state_error.ts";

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
  tables: number | null;
  checksum: string;
  location: string;
  /** The rest, for the job's result. */
  result: Record<string, unknown>;
}

const IN_ALL = "job_id, type, status, started_at, completed_at, error_message, reason, created_by";

/** Columns that a listed job is made of, beside its metadata. */
const COLUMNS = {
  backup: `${IN_ALL}, size_bytes, checksum, location, recovery_point_id`,
  others: `${IN_ALL}, backup_id`,
};

/** Rows of jobs. */
export class JobTables {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /**
   * Records the end of a job, also of one whose beginning could not be recorded. A job that has ended
   * otherwise, because somebody took it back meanwhile, keeps that end; only what was completed stays so.
   *
   * @returns the job as it has ended; not `recorded` while the tables cannot be used
   */
  async finish(job: Job): Promise<Job> {
    try {
      return await this.#database.transaction("record the end of a job", async (sql) => {
        await insertRunning(sql, job);
        const [row] = await sql`
          select * from ${sql.unsafe(TABLES[job.kind])} where job_id = ${job.jobId} for update`;
        const earlier = row === undefined ? null : toJob(row, job.kind);
        if (earlier !== null && isFinished(earlier) && job.status !== "completed") return earlier;
        await writeEnd(sql, job);
        return { ...job, recorded: true };
      });
    } catch (error) {
      const failure = toStateError(error, "record a job");
      if (isStateUnavailable(failure) || failure.code === "invalid_config") {
        return { ...job, recorded: false };
      }
      throw failure;
    }
  }

  /** One job, null when no table has it. */
  async get(jobId: string, kind: JobKind): Promise<Job | null> {
    const rows = await this.#database.run("read a job", async (sql) => {
      await failInterrupted(sql);
      return await sql`select * from ${sql.unsafe(TABLES[kind])} where job_id = ${jobId}`;
    });
    return rows[0] ? toJob(rows[0], kind) : null;
  }

  /** Jobs, newest first and with short results, and how many there are in all. */
  async list(filter: JobFilter): Promise<{ jobs: Job[]; total: number }> {
    return await this.#database.run("list jobs", async (sql) => {
      await failInterrupted(sql);
      const table = sql.unsafe(TABLES[filter.kind]);
      const where = sql`
        where (${filter.type ?? null}::text is null or type = ${filter.type ?? null})
          and (${filter.status ?? null}::text is null or status = ${filter.status ?? null})`;
      const columns = sql.unsafe(COLUMNS[filter.kind === "backup" ? "backup" : "others"]);
      const rows = await sql`
        select ${columns}, ${listedMetadata(sql)} as metadata from (
          select * from ${table} ${where}
          order by started_at desc, job_id desc limit ${filter.limit} offset ${filter.offset}) j
        order by started_at desc, job_id desc`;
      const [count] = await sql`select count(*)::integer as total from ${table} ${where}`;
      return { jobs: rows.map((row) => toJob(row, filter.kind)), total: Number(count?.total ?? 0) };
    });
  }

  /** Of these backups, those that have no row, in the same order. */
  async unknown(backupIds: readonly string[]): Promise<string[]> {
    const rows = await this.#database.run("read the list of backups", (sql) =>
      sql`
        select id from unnest(${[...backupIds]}::text[]) with ordinality as stored (id, place)
        where not exists (select from public.backup_jobs b where b.job_id = stored.id)
        order by place`);
    return rows.map((row) => String(row.id));
  }

  /** Adds rows for backups that are in storage and not in the table; returns their ids. */
  async addFromStorage(backups: readonly StoredBackup[]): Promise<string[]> {
    return await this.#database.run("rebuild the list of backups", async (sql) => {
      const values = backups.map(({ result, ...backup }) => ({
        ...backup,
        metadata: { result, rebuiltFromStorage: true },
        components: [backup.type],
        locations: locationsOf(backup.location),
      }));
      const rows = await sql`
        insert into public.backup_jobs
          (job_id, type, status, started_at, completed_at, size_bytes, checksum, location, reason,
           metadata, compressed_size_bytes, tables_included, components, locations)
        select b."backupId", b.type, 'completed', b."createdAt", b."completedAt", b."rawBytes",
          b.checksum, b.location, b.reason, b.metadata, b."newStoredBytes", b.tables, b.components,
          b.locations
        from jsonb_to_recordset(${sql.json(toJson(values))}) as b ("backupId" text, type text,
          "createdAt" timestamptz, "completedAt" timestamptz, "rawBytes" bigint, checksum text,
          location text, reason text, metadata jsonb, "newStoredBytes" bigint, tables integer,
          components jsonb, locations jsonb)
        on conflict (job_id) do nothing returning job_id`;
      const added = new Set(rows.map((row) => row.job_id));
      return backups.map(({ backupId }) => backupId).filter((id) => added.has(id));
    });
  }

  /** Marks running jobs without life as failed. */
  async failInterrupted(): Promise<void> {
    await this.#database.run("look for interrupted jobs", (sql) => failInterrupted(sql));
  }
}
