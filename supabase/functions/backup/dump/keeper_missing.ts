/**
 * Says why pg_cron did not start a keeper, as far as the database shows it.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Session } from "../postgres/session.ts";

/** Where pg_cron says how jobs ended; the launcher is shown only to those who may see all processes. */
const LAUNCHER = `
  select not pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
         or exists (select from pg_catalog.pg_stat_activity a
                     where a.backend_type = 'pg_cron launcher') as running,
         pg_catalog.current_database() as here`;

/** Settings that this role may not read are not in the view. */
const SETTINGS = `
  select s.name, s.setting from pg_catalog.pg_settings s
   where s.name in ('cron.database_name', 'cron.launch_active_jobs', 'cron.max_running_jobs')`;

const LAST_RUN = `
  select d.return_message from cron.job_run_details d join cron.job j on j.jobid = d.jobid
   where j.jobname = $1 and d.return_message is not null order by d.runid desc limit 1`;

const HINT = "pg_cron has to be in shared_preload_libraries, cron.database_name has to be this " +
  "database, and fewer jobs than cron.max_running_jobs may run; select * from " +
  "cron.job_run_details order by runid desc limit 5 shows whether it starts any. Until it does, " +
  "run the backup from a computer: deno task backup.";

/** A keeper was asked for and did not come: the moment has to be held in another way. */
export class KeeperMissing extends BackupError {
  /** @param why what happened, as half a sentence */
  constructor(readonly why: string) {
    super("invalid_config", `Cannot hold the moment of the backup: ${why}`, { hint: HINT });
  }
}

/** The error for a keeper that was asked for and did not come. */
export async function keeperMissing(
  session: Session,
  { name, waitedMs }: { name: string; waitedMs: number },
): Promise<KeeperMissing> {
  const found = await findReasons(session, name);
  const reasons = found.length === 0 ? "" : ` (${found.join("; ")})`;
  return new KeeperMissing(
    `pg_cron did not start its keeper in ${Math.ceil(waitedMs / 1000)} s${reasons}`,
  );
}

async function findReasons(session: Session, name: string): Promise<string[]> {
  const [run] = await session.query(LAST_RUN, [name]);
  const [process] = await session.query(LAUNCHER);
  const rows = await session.query(SETTINGS);
  const settings = new Map(rows.map((row) => [row.name as string, row.setting as string]));
  const database = settings.get("cron.database_name") ?? process!.here;
  return [
    ...(run === undefined
      ? []
      : [`its run said ${String(run.return_message).trim().slice(0, 200)}`]),
    ...(process!.running ? [] : ["the server shows no pg_cron launcher"]),
    ...(database === process!.here ? [] : [`cron.database_name is ${database}`]),
    ...(settings.get("cron.launch_active_jobs") === "off"
      ? ["cron.launch_active_jobs is off"]
      : []),
    ...(settings.get("cron.max_running_jobs") === "0" ? ["cron.max_running_jobs is 0"] : []),
  ];
}
