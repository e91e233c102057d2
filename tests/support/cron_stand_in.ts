/**
 * A stand-in for pg_cron on servers that lack it: the same tables and functions, and a launcher that runs
 * each job on a connection, as pg_cron does by default, and leaves the connection when its job is gone.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";

const SCHEMA = `
  CREATE SCHEMA cron;
  CREATE TABLE cron.job (
    jobid bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, schedule text NOT NULL,
    command text NOT NULL, username text NOT NULL DEFAULT current_user, jobname text,
    UNIQUE (jobname, username));
  CREATE TABLE cron.job_run_details (
    jobid bigint, runid bigint GENERATED ALWAYS AS IDENTITY, return_message text,
    end_time timestamptz);
  CREATE FUNCTION cron.schedule(job_name text, schedule text, command text)
    RETURNS bigint LANGUAGE sql AS $$
      INSERT INTO cron.job (jobname, schedule, command) VALUES ($1, $2, $3)
        ON CONFLICT (jobname, username)
        DO UPDATE SET schedule = excluded.schedule, command = excluded.command
        RETURNING jobid $$;
  CREATE FUNCTION cron.unschedule(job_id bigint) RETURNS boolean LANGUAGE sql AS $$
    DELETE FROM cron.job j WHERE j.jobid = $1 RETURNING true $$;
  GRANT USAGE ON SCHEMA cron TO public;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cron TO public`;

/** A launcher that runs. */
export interface CronStandIn {
  /** Called before a job starts for the first time. */
  beforeStart: (command: string) => Promise<void>;
  /** While false nothing starts. */
  starting: boolean;
  /** Commands that were started. */
  readonly started: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Installs the stand-in in a database and lets it run jobs as this URL's role. */
export async function startCronStandIn(url: string): Promise<CronStandIn> {
  const control = await connect({ url, applicationName: "pg_cron launcher" });
  await control.execute(SCHEMA);
  const running = new Map<number, { session: Session; done: Promise<void> }>();
  let ended = false;
  const standIn = {
    beforeStart: () => Promise.resolve(),
    starting: true,
    started: [] as string[],
    async [Symbol.asyncDispose]() {
      ended = true;
      await launching;
      await control.close();
    },
  };
  const start = async (jobId: number, command: string) => {
    await (standIn as CronStandIn).beforeStart(command);
    const session = await connect({ url, applicationName: "pg_cron" });
    standIn.started.push(command);
    const done = session.execute(command).catch((error) => {
      if (!(error instanceof BackupError)) throw error;
    }).finally(() => running.delete(jobId));
    running.set(jobId, { session, done });
  };
  const launch = async () => {
    while (!ended) {
      const jobs = await control.query("SELECT jobid::int AS jobid, command FROM cron.job");
      for (const { jobid, command } of jobs) {
        if (standIn.starting && !running.has(jobid)) await start(jobid, command);
      }
      for (const [jobId, { session }] of running) {
        if (!jobs.some((job) => job.jobid === jobId)) await session.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const { session } of running.values()) await session.close();
    await Promise.all([...running.values()].map(({ done }) => done));
  };
  const launching = launch();
  return standIn;
}
