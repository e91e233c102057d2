/**
 * The latest runs of what runs by itself, from the rows of jobs, and the right to start the next ones.
 *
 * @module
 */
import type postgres from "postgres";
import { JOB_TYPES, type JobType } from "../core/job.ts";
import { TABLES } from "./job_rows.ts";
import type { Sql, StateDatabase } from "./database.ts";

/** Held while somebody decides what to start. */
const START_LOCK = "7277816997830723";

/** Failed runs that are counted; a multiple of the tries of a round. */
const MOST_FAILURES = 48;

/** The runs of one kind. */
export interface RunTimes {
  /** Start of the latest one that was good, goes on or was stopped by somebody. */
  startedAt: Date | null;
  /** Whether one goes on, or waits to be started. */
  running: boolean;
  /** Runs that failed since then, and start and end of the latest of them. */
  failures: number;
  failedStart: Date | null;
  failedEnd: Date | null;
}

/** See the module. */
export class LatestRuns {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /**
   * The latest runs and the present, both by the server's clock. Rows from the future, by a clock that was
   * wrong, do not count: nothing would be due any more.
   */
  async read(): Promise<{
    now: Date;
    /** When the service's tables were made. */
    madeAt: Date;
    backups: Partial<Record<JobType, RunTimes>>;
    verification: RunTimes;
    cleanup: RunTimes;
  }> {
    return await this.#database.run("read the latest runs", async (sql) => {
      const [row] = await sql`
        select now() as now, least(min(applied_at), now()) as made_at
        from backup_internal.migrations`;
      const backups = await readRuns(sql, {
        table: TABLES.backup,
        // What waits for a later time is no run yet.
        where: sql`j.job_id like 'backup\\_%' and (j.status <> 'pending' or j.started_at <= now())`,
      });
      const one = async (table: string, where: postgres.PendingQuery<postgres.Row[]>) =>
        Object.values(await readRuns(sql, { table, where }))[0] ?? NONE;
      return {
        ...{ now: row!.now, madeAt: row!.made_at },
        backups,
        verification: await one(TABLES.verify, sql`j.created_by = 'schedule'`),
        cleanup: await one(TABLES.cleanup, sql`not j.metadata @> '{"result": {"dryRun": true}}'`),
      };
    });
  }

  /** The present by the server's clock. */
  async now(): Promise<Date> {
    const [row] = await this.#database.run("read the time", (sql) => sql`select now() as now`);
    return row!.now;
  }

  /** Ids of backups that running jobs read, and of a backup that runs. */
  async inUse(): Promise<{ read: string[]; running: string | null }> {
    return await this.#database.run("read the running jobs", async (sql) => {
      const read = await sql`
        select backup_id from public.restore_jobs where status = 'running'
        union select backup_id from backup_internal.verify_jobs where status = 'running'`;
      const [running] = await sql`
        select job_id from public.backup_jobs where status = 'running' limit 1`;
      return {
        read: read.flatMap(({ backup_id }) => backup_id === null ? [] : [String(backup_id)]),
        running: running === undefined ? null : String(running.job_id),
      };
    });
  }

  /** Prunes old rows as the SQL function does; says how many of which table. */
  async prune(): Promise<Record<string, number>> {
    const rows = await this.#database.run(
      "prune old records",
      (sql) =>
        sql`select table_name, removed_rows from public.cleanup_backup_data(90, 90, 180, 30)`,
    );
    return Object.fromEntries(rows.map((row) => [row.table_name, Number(row.removed_rows)]));
  }

  /** Does the work unless somebody else is about it: then it is his, and the answer null. */
  async alone<T>(work: () => Promise<T>): Promise<T | null> {
    return await this.#database.transaction("start what is due", async (sql) => {
      const [row] = await sql`
        select pg_catalog.pg_try_advisory_xact_lock(${START_LOCK}::bigint) as mine`;
      return row?.mine === true ? await work() : null;
    });
  }
}

const NONE: RunTimes = {
  ...{ startedAt: null, running: false, failures: 0 },
  ...{ failedStart: null, failedEnd: null },
};

async function readRuns(
  sql: Sql,
  { table, where }: { table: string; where: postgres.PendingQuery<postgres.Row[]> },
): Promise<Partial<Record<JobType, RunTimes>>> {
  // A query for each type: the planner then knows which of them have no rows, and reads no others.
  const rows = await JOB_TYPES.map((type) => runsOf(sql, { table: sql.unsafe(table), type, where }))
    .reduce((all, one) => sql`${all} union all ${one}`);
  return Object.fromEntries(rows.map((row) => [row.type, {
    startedAt: row.started_at,
    running: row.running,
    failures: row.failures,
    failedStart: row.failed_start,
    failedEnd: row.failed_end,
  }]));
}

function runsOf(
  sql: Sql,
  { table, type, where }: {
    table: postgres.PendingQuery<postgres.Row[]>;
    type: JobType;
    where: postgres.PendingQuery<postgres.Row[]>;
  },
): postgres.PendingQuery<postgres.Row[]> {
  const latest = sql`
    select j.started_at from ${table} j
    where j.type = ${type} and j.status <> 'failed' and ${where}
      and j.started_at <= now() + interval '1 hour'
    order by j.started_at desc limit 1`;
  return sql`(
    select ${type}::text as type, good.started_at, active.running,
      failed.failures, failed.started_at as failed_start, failed.completed_at as failed_end
    from (select (${latest}) as started_at) good,
      (select exists (
        select from ${table} j
        where j.type = ${type} and j.status in ('pending', 'running') and ${where}) as running) active,
      lateral (
        select count(*)::integer as failures, max(f.started_at) as started_at,
          max(f.completed_at) as completed_at
        from (
          select j.started_at, coalesce(j.completed_at, j.started_at) as completed_at from ${table} j
          where j.type = ${type} and j.status = 'failed' and ${where}
            and j.started_at <= now() + interval '1 hour'
            and j.started_at > coalesce(good.started_at, '-infinity')
          order by j.started_at desc limit ${MOST_FAILURES}) f) failed
    where good.started_at is not null or failed.failures > 0)`;
}
