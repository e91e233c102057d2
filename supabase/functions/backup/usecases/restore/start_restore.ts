/**
 * Starts a restore as a job: over the service's database, beside it, or into another one.
 *
 * @module
 */
import { checkDatabaseHost } from "../../core/allowed_hosts.ts";
import { BackupError } from "../../core/errors.ts";
import { newJobId } from "../../core/ids.ts";
import type { Job } from "../../core/job.ts";
import { RELEASE } from "../../core/release.ts";
import type { Secret } from "../../core/secret.ts";
import type { Settings } from "../../core/settings.ts";
import { workerLimits } from "../../jobs/budget.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import { parseDatabaseUrl } from "../../postgres/database_url.ts";
import type { Repository } from "../../repository/mod.ts";
import { backupDatabase } from "../backup/backup_database.ts";
import { connector, databaseUrl, dumpOptions } from "../database_access.ts";
import type { Caller, Deps } from "../deps.ts";
import { ACCEPT_LOST, refuseLost } from "./lost_backups.ts";
import type { JobRequest } from "../jobs/job_request.ts";
import { relationsAPart } from "../jobs/relations_a_part.ts";
import type { RestoreRequest } from "./restore_database.ts";
import { refuseHalfRestored } from "./refuse_half_restored.ts";
import { refuseLateRestore } from "./refuse_late_restore.ts";
import { restoreCommand } from "./restore_command.ts";
import { FIRST_OF_RESTORE, WHOLE } from "./parts_of_restore.ts";
import { restoreInParts } from "./restore_in_parts.ts";
import { startJob } from "../jobs/start_job.ts";
import { TEST_BACKUP } from "./start_test_restore.ts";
import { testRestore } from "./test_restore.ts";
import { syncBackups } from "../service/stored_backups.ts";

/**
 * Raw bytes that one transaction of a worker with limits may restore: loading costs it about 25 ms of CPU
 * per megabyte, and the safety backup before it as much again.
 */
const MAX_WHOLE_BYTES = 16 << 20;

/** What a caller asks for. */
export interface StartRestore extends RestoreRequest {
  backupId: string;
  reason: string | null;
  /** Reference to another database's address; null for the service's own. */
  targetDatabaseUrl: string | null;
  /** @default a new id */
  jobId?: string;
}

/**
 * The backup must be there before the job begins, so that a wrong id is answered at once.
 *
 * @throws `backup_not_found`, `conflict`, `invalid_config`; what fails later is the job's error
 */
export async function startRestore(deps: Deps, caller: Caller, start: StartRestore): Promise<Job> {
  const { backupId, reason, targetDatabaseUrl, ...rest } = start;
  const { jobId = newJobId("restore", deps.clock.now()), ...request } = rest;
  const acceptsLost = request.acceptHazards?.includes(ACCEPT_LOST) === true;
  if (backupId === TEST_BACKUP) {
    return await testRestore(deps, caller, { backupId: "latest", reason, jobId, acceptsLost });
  }
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const { record } = await repository.readBackup(backupId);
  if (backupId === "latest") refuseHalfRestored(record);
  if (!acceptsLost) {
    const newest = backupId === "latest";
    await refuseLost(deps, repository, { chosen: record.backupId, newest });
  }
  await addressOf(deps, targetDatabaseUrl);
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "restore",
      job: {
        ...{ jobId, kind: "restore", type: "database", backupId: record.backupId, reason },
        createdBy: caller.name,
      },
      // Kept with the job: every worker makes the same plan, whatever becomes of the settings.
      request: {
        ...{ task: "restore", backupId: record.backupId, targetDatabaseUrl },
        request: { ...request, criticalTables: settings.criticalTables },
      },
      first: FIRST_OF_RESTORE,
      details: { backupId: record.backupId, dryRun: request.dryRun, mode: request.mode ?? null },
    },
  });
}

/** What such a job is made of. */
export async function defineRestore(
  deps: Deps,
  job: Job,
  { backupId, targetDatabaseUrl, request, view = (each) => each }:
    & Omit<JobRequest & { task: "restore" }, "task">
    & { view?: (repository: Repository) => Repository },
): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const connect = connector(await addressOf(deps, targetDatabaseUrl));
  const limited = workerLimits(settings, { hosted: deps.environment.edgeRuntime }).cpuMs !== null;
  const threads = await deps.openReader?.(settings);
  let signal: AbortSignal | undefined;
  const definition = restoreInParts({
    jobId: job.jobId,
    connect,
    repository: view(await deps.openRepository(settings)),
    backupId,
    request: {
      jobs: settings.databaseConnections,
      lockTimeoutMs: settings.lockTimeoutSeconds * 1000,
      ...request,
    },
    safetyBackup: () => {
      const onDamage = request.safetyBackupSkipsDamage === true ? "skip" : "fail";
      return safetyBackup(deps, { settings, connect, job, signal, onDamage });
    },
    clock: deps.clock,
    writtenBy: RELEASE,
    ...(threads === undefined ? {} : { reader: threads.reader }),
    ...(limited ? { maxWholeBytes: MAX_WHOLE_BYTES } : {}),
    relationsAPart: relationsAPart(settings, deps),
    commandLine: restoreCommand({ settings, backupId, request, targetDatabaseUrl }),
  });
  return {
    ...definition,
    async run(lease, context) {
      signal = context.signal;
      if (lease.name === WHOLE) refuseLateRestore(job.jobId, deps.clock.now());
      const outcome = await definition.run(lease, context);
      if (outcome.finish?.result.safetyBackupId) await listSafetyBackup(deps, settings);
      return outcome;
    },
    leave: async () => void await Promise.all([definition.leave?.(), threads?.leave()]),
    end: async (how, context) => {
      await definition.end?.(how, context);
      await threads?.leave();
    },
  };
}

/** Where the restore goes. @throws `invalid_config` */
export async function addressOf(deps: Deps, reference: string | null): Promise<Secret> {
  return reference === null ? databaseUrl(deps) : await targetUrl(deps, reference);
}

/** An address from the Vault is not the environment's: it must be at a host that the environment allows. */
async function targetUrl(deps: Deps, reference: string): Promise<Secret> {
  const url = await deps.secret(reference);
  if (!reference.startsWith("env:")) {
    checkDatabaseHost(parseDatabaseUrl(url.reveal()), deps.environment);
  }
  return url;
}

/** The way back: everything that the service saves of its database, under the restore's locks. */
async function safetyBackup(
  deps: Deps,
  { settings, connect, job, signal, onDamage }: {
    settings: Settings;
    connect: ReturnType<typeof connector>;
    job: Job;
    signal: AbortSignal | undefined;
    onDamage: "fail" | "skip";
  },
) {
  return await backupDatabase({
    connect,
    repository: await deps.openRepository(settings),
    clock: deps.clock,
    request: {
      origin: "safety",
      projectRef: deps.environment.projectRef,
      reason: `before ${job.jobId} restores ${job.backupId}`,
      dump: await dumpOptions(connect, settings),
      jobs: settings.databaseConnections,
      lockTimeoutMs: settings.lockTimeoutSeconds * 1000,
      onDamage,
    },
    writtenBy: RELEASE,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The restore is done; that the list lacks a row until the next tick adds it must not make it fail. */
async function listSafetyBackup(deps: Deps, settings: Settings): Promise<void> {
  try {
    await syncBackups(deps, await deps.openRepository(settings));
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    deps.reportError(error, "list the safety backup");
  }
}
