/**
 * Starts a restore of functions, settings, secrets or files as a job.
 *
 * @module
 */
import { newJobId } from "../../core/ids.ts";
import type { ItemType, SavedItem } from "../../core/items.ts";
import type { Job } from "../../core/job.ts";
import { RELEASE } from "../../core/release.ts";
import type { Settings } from "../../core/settings.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import type { Repository } from "../../repository/mod.ts";
import { reopening } from "../../jobs/reopening.ts";
import { runInProcess } from "../../jobs/run_in_process.ts";
import { backupItems } from "./backup_items.ts";
import { databaseName } from "../database_access.ts";
import type { Caller, Deps } from "../deps.ts";
import type { ItemRestoreRequest } from "../jobs/job_request.ts";
import { ACCEPT_LOST, refuseLost } from "../restore/lost_backups.ts";
import { newBackupId } from "../backup/new_backup_id.ts";
import {
  contentReader,
  FIRST_OF_ITEM_RESTORE,
  restoreItems,
  type SafetyBackup,
} from "./restore_items.ts";
import { startJob } from "../jobs/start_job.ts";

/** What a caller asks for. */
export interface StartItemRestore extends ItemRestoreRequest {
  reason: string | null;
  /** @default a new id */
  jobId?: string;
}

/**
 * The backup must be there before the job begins, so that a wrong id is answered at once.
 *
 * @throws `backup_not_found`, `conflict`, `invalid_config`; what fails later is the job's error
 */
export async function startItemRestore(
  deps: Deps,
  caller: Caller,
  { reason, jobId, ...asked }: StartItemRestore,
): Promise<Job> {
  const { settings } = await deps.settings();
  const { type, replace, dryRun, only } = asked;
  const repository = await deps.openRepository(settings);
  const { backupId } = (await repository.readBackup(asked.backupId, { type })).record;
  if (!asked.acceptHazards.includes(ACCEPT_LOST)) {
    await refuseLost(deps, repository, {
      chosen: backupId,
      newest: asked.backupId === "latest",
    });
  }
  const open = contentReader(repository);
  await (await deps.project.target(type, settings, { replace, open })).leave();
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "restore",
      job: {
        jobId: jobId ?? newJobId("restore", deps.clock.now(), type),
        ...{ kind: "restore", type, backupId, reason, createdBy: caller.name },
      },
      request: { task: "restore-items", request: { ...asked, backupId } },
      first: FIRST_OF_ITEM_RESTORE,
      details: { backupId, type, only: only.slice(0, 20), replace, dryRun },
    },
  });
}

/** What such a job is made of. */
export async function defineItemRestore(
  deps: Deps,
  job: Job,
  request: ItemRestoreRequest,
): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const { type, replace, skipSafetyBackup, ...rest } = request;
  const repository = await deps.openRepository(settings);
  const open = contentReader(repository);
  // Objects are many and large, and a backup of them all would be another job: the plan says what is replaced.
  const needsSafety = !skipSafetyBackup && type !== "files" && type !== "secrets";
  return await reopening(async () => {
    const { target, leave } = await deps.project.target(type, settings, { replace, open });
    const definition = restoreItems({
      ...{ type, target, repository, ...rest },
      safetyBackup: needsSafety ? (signal) => saveBefore(deps, { job, settings, signal }) : null,
    });
    return { ...definition, leave };
  });
}

/** Saves what is there before it is replaced; in one go, because these types are small. */
async function saveBefore(
  deps: Deps,
  { job, settings, signal }: { job: Job; settings: Settings; signal: AbortSignal },
): Promise<SafetyBackup> {
  const repository = await deps.openRepository(settings);
  const type = job.type as ItemRestoreRequest["type"];
  const backupId = await newBackupId(repository, { clock: deps.clock, prefix: "safety", type });
  const { source, leave } = await deps.project.source(type, settings);
  const reason = `before ${job.jobId} restores ${job.backupId}`;
  try {
    const definition = backupItems({
      ...{ backupId, reason, origin: "safety", source, repository },
      ...{ database: databaseName(deps), clock: deps.clock, writtenBy: RELEASE },
    });
    await runInProcess(definition, {
      job: { jobId: backupId, kind: "backup", type, backupId, reason, createdBy: job.createdBy },
      clock: deps.clock,
      concurrency: 1,
      signal,
    });
  } finally {
    await leave();
  }
  return { backupId, unsaved: await unsavedOf(repository, { backupId, type, signal }) };
}

/** What a backup of items could not save. */
async function unsavedOf(
  repository: Repository,
  { backupId, type, signal }: { backupId: string; type: ItemType; signal: AbortSignal },
): Promise<string[]> {
  const { manifest } = await repository.readBackup(backupId, { type, signal });
  const unsaved = manifest.source.missing.map(({ what }) => what);
  for (const page of manifest.pages) {
    for await (const item of repository.readLines<SavedItem>(page.items, { signal })) {
      if (item.failure !== undefined) unsaved.push(item.key);
    }
  }
  return unsaved;
}
