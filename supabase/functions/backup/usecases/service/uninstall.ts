/**
 * Removes everything of the service from the project but the function itself and the backups.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { cleanStrayKeepers } from "../../dump/mod.ts";
import { MIGRATIONS } from "../../state/migrations.ts";
import { connector, databaseUrl } from "../database_access.ts";
import type { Caller, Deps } from "../deps.ts";
import { recordAudit } from "../jobs/record_audit.ts";
import { dropScratchDatabases } from "../restore/scratch_database.ts";

/** What was there, and what is left. */
export interface UninstallReport {
  removed: string[];
  /** Where the backups are, which stay; null when no storage can be opened. */
  backupsStayAt: string | null;
  /** Lines to copy for what only the owner of the project can remove. */
  next: string[];
}

/** @throws `conflict` while a job runs, `database_*` */
export async function uninstall(deps: Deps, caller: Caller): Promise<UninstallReport> {
  const here = deps.jobs.all().find((job) => job.status === "running");
  if (here !== undefined) {
    throw new BackupError("conflict", `Cannot uninstall: job ${here.jobId} is running`, {
      hint: `Wait for it (action=job&jobId=${here.jobId}) or stop it (action=cancel).`,
      details: { jobId: here.jobId },
    });
  }
  const backupsStayAt = await findStorage(deps);
  // The last entry of the log that is about to go; where there is no table it goes to the function's log.
  await recordAudit(deps, caller, {
    action: "uninstall",
    subject: null,
    outcome: "accepted",
    details: { backupsStayAt },
  });
  const scratch = await dropScratch(deps);
  const tables = await deps.state.removeTables().catch(explainDependents);
  const keepers = await endKeepers(deps);
  const schedule = await deps.schedule.remove();
  const versions = MIGRATIONS.map(({ version }) => version).join(" ");
  return {
    removed: [...scratch, ...keepers, ...schedule.removed, ...tables.removed],
    backupsStayAt,
    next: [
      ...schedule.left.map((job) =>
        `select cron.unschedule(${job}); -- a job of yours that calls this service`
      ),
      "supabase functions delete backup",
      "supabase secrets unset BACKUP_ENCRYPTION_KEY …, once the key is kept elsewhere: the backups need it",
      `supabase migration repair --status reverted ${versions}, if the tables came by the CLI`,
    ],
  };
}

/** @throws what was thrown, or in its place what to do about objects of users */
function explainDependents(error: unknown): never {
  if (!(error instanceof BackupError) || error.details?.sqlState !== "2BP01") throw error;
  throw new BackupError(
    "conflict",
    "Cannot uninstall: objects of yours depend on the service's tables or functions",
    {
      hint: "Drop views, foreign keys and functions that refer to them; " +
        "drop table public.backup_jobs, for one, says which.",
      cause: error,
    },
  );
}

/** No job is left that one could belong to. */
async function endKeepers(deps: Deps): Promise<string[]> {
  const session = await connector(databaseUrl(deps))();
  try {
    const ended = await cleanStrayKeepers(session, { activeJobs: [], graceSeconds: 0 });
    return ended.map((name) => `pg_cron job ${name}`);
  } finally {
    await session.close();
  }
}

/** Without the tables there is none that is known to be ours. */
async function dropScratch(deps: Deps): Promise<string[]> {
  try {
    return await dropScratchDatabases(deps);
  } catch (error) {
    if (!(error instanceof BackupError) || error.code === "database_unreachable") throw error;
    return [];
  }
}

async function findStorage(deps: Deps): Promise<string | null> {
  try {
    return (await deps.openStorage((await deps.settings()).settings)).location;
  } catch (error) {
    if (error instanceof BackupError) return null;
    throw error;
  }
}
