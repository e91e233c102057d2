/**
 * Starts a backup of the service's database as a job.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { newJobId } from "../core/ids.ts";
import type { Job } from "../core/job.ts";
import { RELEASE } from "../core/release.ts";
import type { JobContext, JobOutcome } from "../jobs/job_runner.ts";
import type { BackupRecord, Repository } from "../repository/mod.ts";
import { backupDatabase } from "./backup_database.ts";
import { connector, databaseUrl, dumpOptions } from "./database_access.ts";
import type { Caller, Deps } from "./deps.ts";
import { startJob } from "./start_job.ts";
import { toStored } from "./stored_backups.ts";

/** @throws `conflict`, `invalid_config`; what fails later is the job's error */
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
  const url = databaseUrl(deps);
  const jobId = newJobId("backup", deps.clock.now());
  const reason = request.reason ?? null;
  return await startJob(deps, caller, {
    action: "backup-database",
    job: {
      jobId,
      kind: "backup",
      type: "database",
      backupId: jobId,
      reason,
      createdBy: caller.name,
    },
    details: { reason },
  }, async ({ signal, onProgress }: JobContext) => {
    const connect = connector(url, signal);
    const dump = await dumpOptions(connect, settings);
    const repository = await deps.openRepository(settings, { create: true });
    const record = await backupDatabase({
      connect,
      repository,
      clock: deps.clock,
      request: {
        backupId: jobId,
        reason,
        origin: "manual",
        dump,
        jobs: settings.databaseConnections,
        lockTimeoutMs: settings.lockTimeoutSeconds * 1000,
      },
      writtenBy: RELEASE,
      signal,
      onProgress,
    });
    return outcomeOf(record, repository);
  });
}

/** A backup's record as what its job gives back. */
export function outcomeOf(record: BackupRecord, repository: Repository): JobOutcome {
  const { rawBytes, checksum, location, result } = toStored(record, repository.location);
  return { sizeBytes: rawBytes, checksum, location, result };
}
