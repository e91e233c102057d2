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
    /** By the name of the destination. Dry runs are none. */
    replications: Record<string, RunTimes>;
    copyCleanups: Record<string, RunTimes>;
    /** End of the latest backup that is complete. */
    lastBackupEnd: Date | null;
  }> {
    return await this.#database.run("read the latest runs", async (sql) => {
      const [row] = await sql`
        select now() as now, least(min(applied_at), now()) as made_at
        from backup_internal.migrations`;
      const backups = await readRuns(sql, {
        ...{ table: TABLES.backup, of: "type", values: JOB_TYPES },
        // What waits for a later time is no run yet.
        where: sql`j.job_id like 'backup\\_%' and (j.status <> 'pending' or j.started_at <= now())`,
      });
      const one = async (table: string, where: Query) =>
        (await readRuns(sql, { table, of: "type", values: ["database"], where })).database ?? NONE;
      return {
        ...{ now: row!.now, madeAt: row!.made_at },
        backups,
        verification: await one(TABLES.verify, sql`j.created_by = 'schedule'`),
        // One of a copy names its destination there.
        cleanup: await one(
          TABLES.cleanup,
          sql`j.backup_id is null and not j.metadata @> '{"result": {"dryRun": true}}'`,
        ),
        replications: await readRunsByDestination(sql, TABLES.replicate),
        copyCleanups: await readRunsByDestination(sql, TABLES.cleanup),
        lastBackupEnd: await readLastEnd(sql),
      };
    });
  }

  /** The present by the server's clock. */
  async now(): Promise<Date> {
    const [row] = await this.#database.run("read the time", (sql) => sql`select now() as now`);
    return row!.now;
  }

  /** Job and end of the latest good replication, by the name of the destination. */
  async lastCopies(): Promise<Record<string, { jobId: string; at: string }>> {
    return await this.#database.run("read the latest replications", async (sql) => {
      const rows = await sql`
        select d.name, last.job_id, last.completed_at
        from unnest(${await readDestinations(sql, TABLES.replicate)}::text[]) as d (name), lateral (
          select j.job_id, j.completed_at from backup_internal.replicate_jobs j
          where j.backup_id = d.name and j.status = 'completed' and j.completed_at is not null
            and ${noDryRun(sql)}
          order by j.started_at desc limit 1) last`;
      return Object.fromEntries(rows.map(({ name, job_id, completed_at }) => [name, {
        jobId: String(job_id),
        at: completed_at.toISOString(),
      }]));
    });
  }

  /**
   * Ids of backups that running jobs read, of a backup that runs, and the name of the destination that backups
   * are being copied to.
   */
  async inUse(): Promise<{ read: string[]; running: string | null; replicating: string | null }> {
    return await this.#database.run("read the running jobs", async (sql) => {
      const read = await sql`
        select backup_id from public.restore_jobs where status = 'running'
        union select backup_id from backup_internal.verify_jobs where status = 'running'`;
      const [running] = await sql`
        select job_id from public.backup_jobs where status = 'running' limit 1`;
      const [replication] = await sql`
        select backup_id from backup_internal.replicate_jobs where status = 'running' limit 1`;
      return {
        read: read.flatMap(({ backup_id }) => backup_id === null ? [] : [String(backup_id)]),
        running: running === undefined ? null : String(running.job_id),
        replicating: replication === undefined ? null : String(replication.backup_id),
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

type Query = postgres.PendingQuery<postgres.Row[]>;

/** A run that only tells what it would do is known by its reason, from its beginning on. */
function noDryRun(sql: Sql): Query {
  return sql`j.reason is distinct from 'dry run'`;
}

/** Runs on copies by the names of their destinations. Dry runs are none. */
async function readRunsByDestination(sql: Sql, table: string): Promise<Record<string, RunTimes>> {
  const values = await readDestinations(sql, table);
  return await readRuns(sql, { table, of: "backup_id", values, where: noDryRun(sql) });
}

/** Names of destinations that jobs have worked on; each is looked up in the index, however many jobs there are. */
async function readDestinations(sql: Sql, table: string): Promise<string[]> {
  const jobs = sql.unsafe(table);
  const rows = await sql`
    with recursive names (name) as (
      select min(backup_id) from ${jobs}
      union all
      select (select min(j.backup_id) from ${jobs} j where j.backup_id > n.name)
      from names n where n.name is not null)
    select name from names where name is not null`;
  return rows.map(({ name }) => String(name));
}

async function readLastEnd(sql: Sql): Promise<Date | null> {
  const [row] = await sql`
    select completed_at from public.backup_jobs
    where status = 'completed' and completed_at <= now() + interval '1 hour'
    order by completed_at desc limit 1`;
  return row?.completed_at ?? null;
}

/** Runs by the values of a column; a value without runs is left out. */
async function readRuns(
  sql: Sql,
  { table, of, values, where }: {
    table: string;
    of: "type" | "backup_id";
    values: readonly string[];
    where: Query;
  },
): Promise<Record<string, RunTimes>> {
  if (values.length === 0) return {};
  // A query for each value: the planner then knows which of them have no rows, and reads no others.
  const rows = await values
    .map((value) => {
      const isOfValue = sql`j.${sql(of)} = ${value} and ${where}`;
      return runsOf(sql, { table: sql.unsafe(table), value, where: isOfValue });
    })
    .reduce((all, one) => sql`${all} union all ${one}`);
  return Object.fromEntries(rows.map((row) => [row.value, {
    startedAt: row.started_at,
    running: row.running,
    failures: row.failures,
    failedStart: row.failed_start,
    failedEnd: row.failed_end,
  }]));
}

function runsOf(
  sql: Sql,
  { table, value, where }: { table: Query; value: string; where: Query },
): Query {
  const latest = sql`
    select j.started_at from ${table} j
    where ${where} and j.status <> 'failed' and j.started_at <= now() + interval '1 hour'
    order by j.started_at desc limit 1`;
  return sql`(
    select ${value}::text as value, good.started_at, active.running,
      failed.failures, failed.started_at as failed_start, failed.completed_at as failed_end
    from (select (${latest}) as started_at) good,
      (select exists (
        select from ${table} j where ${where} and j.status in ('pending', 'running')) as running) active,
      lateral (
        select count(*)::integer as failures, max(f.started_at) as started_at,
          max(f.completed_at) as completed_at
        from (
          select j.started_at, coalesce(j.completed_at, j.started_at) as completed_at from ${table} j
          where ${where} and j.status = 'failed' and j.started_at <= now() + interval '1 hour'
            and j.started_at > coalesce(good.started_at, '-infinity')
          order by j.started_at desc limit ${MOST_FAILURES}) f) failed
    where good.started_at is not null or failed.failures > 0)`;
}
