/**
 * Starts a backup of the service's database as a job.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import type { Job } from "../core/job.ts";
import { RELEASE } from "../core/release.ts";
import type { JobDefinition } from "../jobs/job_definition.ts";
import { backupPlan } from "./backup_database.ts";
import { backupInParts, FIRST_OF_BACKUP } from "./backup_in_parts.ts";
import { connector, databaseUrl, dumpOptions } from "./database_access.ts";
import type { Caller, Deps } from "./deps.ts";
import { getJob } from "./get_job.ts";
import { newBackupId } from "./new_backup_id.ts";
import { recordAudit } from "./record_audit.ts";
import { startJob } from "./start_job.ts";

const ACTION = "backup-database";

/**
 * Starts a backup, or joins the one that runs where the settings say so.
 *
 * @throws `conflict`, `invalid_config`, `storage_*`; what fails later is the job's error
 */
export async function startBackup(
  deps: Deps,
  caller: Caller,
  request: { reason?: string | undefined },
): Promise<Job> {
  const { settings } = await deps.settings();
  if (!settings.enableDatabaseBackup) {
    throw new BackupError("invalid_config", "Cannot back up the database: it is switched off", {
      hint: "Set enableDatabaseBackup to true.",
    });
  }
  databaseUrl(deps);
  // A storage or key that is wrong is told at once, and not by a job.
  const repository = await deps.openRepository(settings, { create: true });
  const jobId = await newBackupId(repository, { clock: deps.clock });
  const reason = request.reason ?? null;
  const start = {
    action: ACTION,
    job: {
      ...{ jobId, kind: "backup" as const, type: "database" as const, backupId: jobId, reason },
      createdBy: caller.name,
    },
    request: { task: "backup" as const },
    first: FIRST_OF_BACKUP,
    details: { reason },
  };
  try {
    return await startJob(deps, caller, { settings, start });
  } catch (error) {
    const running = runningBackup(toBackupError(error));
    if (running === null || settings.onRunningBackup !== "join") throw error;
    const details = { reason, joined: true };
    await recordAudit(deps, caller, {
      ...{ action: ACTION, subject: running, outcome: "accepted", details },
    });
    return await getJob(deps, running);
  }
}

/** The backup that stands against a new one; null when it is something else that does. */
function runningBackup({ code, details }: BackupError): string | null {
  return code === "conflict" && details?.kind === "backup" ? String(details.jobId) : null;
}

/** What such a job is made of. */
export async function defineBackup(deps: Deps, { jobId, reason }: Job): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const connect = connector(databaseUrl(deps));
  const yieldSeconds = settings.yieldToWaitersSeconds;
  return backupInParts({
    plan: backupPlan({
      backupId: jobId,
      reason,
      origin: "manual",
      lockTimeoutMs: settings.lockTimeoutSeconds * 1000,
      yieldAfterMs: yieldSeconds === undefined ? null : yieldSeconds * 1000,
      maxKeeperSeconds: settings.maxKeeperSeconds,
    }, { writtenBy: RELEASE }),
    dump: () => dumpOptions(connect, settings),
    connect,
    repository: await deps.openRepository(settings, { create: true }),
    holder: deps.snapshotHolder,
    clock: deps.clock,
  });
}
