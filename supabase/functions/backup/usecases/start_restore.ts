/**
 * Starts a restore as a job: over the service's database, beside it, or into another one.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { newJobId } from "../core/ids.ts";
import type { Job } from "../core/job.ts";
import { RELEASE } from "../core/release.ts";
import type { Settings } from "../core/settings.ts";
import type { JobContext, JobOutcome } from "../jobs/job_runner.ts";
import { backupDatabase } from "./backup_database.ts";
import { connector, databaseUrl, dumpOptions } from "./database_access.ts";
import type { Caller, Deps } from "./deps.ts";
import { restoreDatabase, type RestoreRequest } from "./restore_database.ts";
import { startJob } from "./start_job.ts";
import { syncBackups } from "./stored_backups.ts";

/** What a caller asks for. */
export interface StartRestore extends RestoreRequest {
  backupId: string;
  reason: string | null;
  /** Reference to another database's address; null for the service's own. */
  targetDatabaseUrl: string | null;
}

/**
 * The backup must be there before the job begins, so that a wrong id is answered at once.
 *
 * @throws `backup_not_found`, `conflict`, `invalid_config`; what fails later is the job's error
 */
export async function startRestore(deps: Deps, caller: Caller, start: StartRestore): Promise<Job> {
  const { backupId, reason, targetDatabaseUrl, ...request } = start;
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const { record } = await repository.readBackup(backupId);
  const target = targetDatabaseUrl === null
    ? databaseUrl(deps)
    : await deps.secret(targetDatabaseUrl);
  return await startJob(deps, caller, {
    action: "restore",
    job: {
      jobId: newJobId("restore", deps.clock.now()),
      kind: "restore",
      type: "database",
      backupId: record.backupId,
      reason,
      createdBy: caller.name,
    },
    details: { backupId: record.backupId, dryRun: request.dryRun, mode: request.mode ?? null },
  }, async ({ job, signal, onProgress }: JobContext): Promise<JobOutcome> => {
    const connect = connector(target, signal);
    const report = await restoreDatabase({
      connect,
      repository,
      backupId: record.backupId,
      request: {
        jobs: settings.databaseConnections,
        lockTimeoutMs: settings.lockTimeoutSeconds * 1000,
        ...request,
      },
      safetyBackup: () => safetyBackup(deps, { settings, connect, job, signal }),
      clock: deps.clock,
      writtenBy: RELEASE,
      signal,
      onProgress,
    });
    if (report.safetyBackupId !== null) await listSafetyBackup(deps, settings);
    return { result: { ...report }, backupId: record.backupId };
  });
}

/** The way back: everything that the service saves of its database, under the restore's locks. */
async function safetyBackup(
  deps: Deps,
  { settings, connect, job, signal }: {
    settings: Settings;
    connect: ReturnType<typeof connector>;
    job: Job;
    signal: AbortSignal;
  },
) {
  return await backupDatabase({
    connect,
    repository: await deps.openRepository(settings),
    clock: deps.clock,
    request: {
      origin: "safety",
      reason: `before ${job.jobId} restores ${job.backupId}`,
      dump: await dumpOptions(connect, settings),
      jobs: settings.databaseConnections,
      lockTimeoutMs: settings.lockTimeoutSeconds * 1000,
    },
    writtenBy: RELEASE,
    signal,
  });
}

/** The restore is done; that the list lacks a row until the next init must not make it fail. */
async function listSafetyBackup(deps: Deps, settings: Settings): Promise<void> {
  try {
    await syncBackups(deps, await deps.openRepository(settings));
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    deps.reportError(error, "list the safety backup");
  }
}
