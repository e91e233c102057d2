/**
 * Holders of moments as the server shows them: for opening and ending them, for health and clean-up.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { pinSettings } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";
import { DISARMED, startBeforeOf } from "./keeper_command.ts";
import { jobMark, jobMarkOf } from "./snapshot_names.ts";

/** A server process that is, or was, to hold a moment. */
export interface FoundHolder {
  /** `HeldSnapshot.name`. */
  name: string;
  /** Its whole application_name. */
  mark: string;
  strategy: "session" | "keeper";
  pid: number;
  /** `client backend`, or what pg_cron calls its background workers. */
  backendType: string;
  /** Age of its transaction, as it holds back VACUUM. */
  ageSeconds: number;
}

const HOLDERS = `
  select a.pid, a.application_name as mark, a.backend_type,
         extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as age
    from pg_catalog.pg_stat_activity a
   where a.datname = pg_catalog.current_database()
     and a.usesysid = (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user)
     and pg_catalog.starts_with(a.application_name, $1) and a.pid <> pg_catalog.pg_backend_pid()
   order by a.backend_start, a.pid`;

/** Holders of this role in this database, the oldest first; those of one name when it is given. */
export async function listKeepers(session: Session, name?: string): Promise<FoundHolder[]> {
  const rows = await session.query(HOLDERS, [name === undefined ? "backup/" : `${name}/`]);
  return rows.map((row): FoundHolder => ({
    name: row.mark.slice(0, row.mark.indexOf("/", "backup/".length)),
    mark: row.mark,
    strategy: row.mark.endsWith("/held") ? "session" : "keeper",
    pid: row.pid,
    backendType: row.backend_type,
    ageSeconds: Number(row.age ?? 0),
  })).filter((holder) => jobMarkOf(holder.name) !== null);
}

/** Ends the holders of this name and waits until they are gone. */
export async function endHolders(session: Session, name: string): Promise<void> {
  for (const { pid } of await listKeepers(session, name)) {
    const [row] = await session.query(
      "select pg_catalog.pg_terminate_backend($1, 10000) as ended",
      [
        pid,
      ],
    );
    if (row?.ended === true) continue;
    if (!(await listKeepers(session, name)).some((holder) => holder.pid === pid)) continue;
    throw new BackupError("database_error", "Cannot end the keeper of the backup's moment", {
      hint: `Run select pg_terminate_backend(${pid}) as its owner or a superuser.`,
    });
  }
}

/** Ends all holders of a job: a worker that opened one before, and was killed or too slow, may have left it. */
export async function endHoldersOf(session: Session, jobId: string): Promise<void> {
  const holders = await listKeepers(session);
  const names = holders.map(({ name }) => name).filter((name) =>
    jobMarkOf(name) === jobMark(jobId)
  );
  for (const name of new Set(names)) await endHolders(session, name);
}

/** What tells a stray keeper from others. */
export interface StrayKeepersOptions {
  /** Ids of the jobs that have not ended. */
  activeJobs: readonly string[];
  /** Keepers younger than this may belong to a job that the list does not know yet. @default 60 */
  graceSeconds?: number;
}

/** Keepers of jobs that have ended. Moments on connections of a process are no strays: they end with it. */
export async function findStrayKeepers(
  session: Session,
  { activeJobs, graceSeconds = 60 }: StrayKeepersOptions,
): Promise<FoundHolder[]> {
  const active = new Set(activeJobs.map(jobMark));
  return (await listKeepers(session)).filter(({ name, strategy, ageSeconds }) =>
    strategy === "keeper" && ageSeconds >= graceSeconds && !active.has(jobMarkOf(name) ?? "")
  );
}

/**
 * Ends keepers of jobs that have ended, and takes their jobs off pg_cron. The session's settings are pinned.
 *
 * @returns the names of what was ended
 */
export async function cleanStrayKeepers(
  session: Session,
  options: StrayKeepersOptions,
): Promise<string[]> {
  await pinSettings(session);
  const found = await findStrayKeepers(session, options);
  const strays = new Set(found.map(({ name }) => name));
  const living = new Set((await listKeepers(session)).map(({ name }) => name));
  const scheduled = await findScheduled(session);
  for (const { name, overdue } of scheduled) {
    if (overdue && !living.has(name)) strays.add(name);
  }
  for (const name of strays) {
    for (const { name: found, jobId } of scheduled) {
      if (found === name) await session.query("select cron.unschedule($1::bigint)", [jobId]);
    }
    await endHolders(session, name);
  }
  return [...strays];
}

/** Whether this role can have pg_cron run jobs in this database; whether it runs any is seen by trying. */
export async function hasCron(session: Session): Promise<boolean> {
  const [found] = await session.query(`
    select pg_catalog.has_schema_privilege(n.oid, 'USAGE')
           and exists (select from pg_catalog.pg_proc p
                        where p.pronamespace = n.oid and p.proname = 'schedule' and p.pronargs = 3
                          and pg_catalog.has_function_privilege(p.oid, 'EXECUTE'))
           and exists (select from pg_catalog.pg_class c
                        where c.relnamespace = n.oid and c.relname = 'job'
                          and pg_catalog.has_table_privilege(c.oid, 'SELECT'))
           and exists (select from pg_catalog.pg_language l where l.lanname = 'plpgsql'
                          and pg_catalog.has_language_privilege(l.oid, 'USAGE')) as usable
      from pg_catalog.pg_namespace n where n.nspname = 'cron'`);
  return found?.usable === true;
}

/** Keepers' jobs, and whether the time in which one could still start is over. */
async function findScheduled(
  session: Session,
): Promise<{ name: string; jobId: number; overdue: boolean }[]> {
  if (!await hasCron(session)) return [];
  // pg_cron shows each role its own jobs by row level security, which our sessions do not pass over.
  await session.execute("BEGIN READ ONLY; SET LOCAL row_security = on");
  const rows = await session.query(`
    select j.jobid, j.jobname, j.command, pg_catalog.clock_timestamp()::text as now
      from cron.job j
     where j.username = current_user and pg_catalog.starts_with(j.jobname, 'backup/')`);
  await session.execute("COMMIT");
  return rows.filter((row) => jobMarkOf(row.jobname) !== null).map((row) => ({
    name: row.jobname,
    jobId: row.jobid,
    overdue: row.command === DISARMED ||
      Date.parse(startBeforeOf(row.command) ?? "") < Date.parse(row.now),
  }));
}
