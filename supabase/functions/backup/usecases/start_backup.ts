/**
 * Starts a backup of the service's database as a job.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { newJobId } from "../core/ids.ts";
import type { Job } from "../core/job.ts";
import { RELEASE } from "../core/release.ts";
import type { JobDefinition } from "../jobs/job_definition.ts";
import { backupPlan } from "./backup_database.ts";
import { backupInParts, FIRST_OF_BACKUP } from "./backup_in_parts.ts";
import { connector, databaseUrl, dumpOptions } from "./database_access.ts";
import type { Caller, Deps } from "./deps.ts";
import { startJob } from "./start_job.ts";

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
  databaseUrl(deps);
  // A storage or key that is wrong is told at once, and not by a job.
  await deps.openRepository(settings, { create: true });
  const jobId = newJobId("backup", deps.clock.now());
  const reason = request.reason ?? null;
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "backup-database",
      job: {
        ...{ jobId, kind: "backup", type: "database", backupId: jobId, reason },
        createdBy: caller.name,
      },
      request: { task: "backup" },
      first: FIRST_OF_BACKUP,
      details: { reason },
    },
  });
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
    }, { clock: deps.clock, writtenBy: RELEASE }),
    dump: () => dumpOptions(connect, settings),
    connect,
    repository: await deps.openRepository(settings, { create: true }),
    holder: deps.snapshotHolder,
    clock: deps.clock,
  });
}
