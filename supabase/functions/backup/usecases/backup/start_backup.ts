/**
 * Starts a backup of the service's database, or of what is around it, as a job.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import { ITEM_TYPES, type ItemType } from "../../core/items.ts";
import type { Job, JobType } from "../../core/job.ts";
import type { NewPart } from "../../core/part.ts";
import { RELEASE } from "../../core/release.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import { reopening } from "../../jobs/reopening.ts";
import { backupPlan } from "./backup_database.ts";
import { backupInParts, FIRST_OF_BACKUP } from "./backup_in_parts.ts";
import { backupItems, FIRST_OF_ITEMS } from "../items/backup_items.ts";
import { connector, databaseName, databaseUrl, dumpOptions } from "../database_access.ts";
import type { Caller, Deps } from "../deps.ts";
import { getJob } from "../jobs/get_job.ts";
import type { PointPlan } from "../jobs/job_request.ts";
import { newBackupId } from "./new_backup_id.ts";
import { recordAudit } from "../jobs/record_audit.ts";
import { relationsAPart } from "../jobs/relations_a_part.ts";
import { startJob } from "../jobs/start_job.ts";
import { SWITCHES } from "../service/what_is_due.ts";

/** What a caller asks for. */
export interface StartBackup {
  type: JobType;
  reason?: string | undefined;
  /** The recovery point that it belongs to, which has named the job already. */
  point?: { jobId: string; plan: PointPlan };
  /** An id that somebody has given out for it. @default a new one */
  jobId?: string;
  /** @default asked for by somebody */
  origin?: "scheduled";
}

/**
 * Starts a backup, or joins the one of its type that runs where the settings say so.
 *
 * @throws `conflict`, `invalid_config`, `storage_*`; what fails later is the job's error
 */
export async function startBackup(deps: Deps, caller: Caller, start: StartBackup): Promise<Job> {
  const { type, point, reason = null, origin = point?.plan.origin } = start;
  const { settings } = await deps.settings();
  if (!settings[SWITCHES[type]]) {
    throw new BackupError("invalid_config", `Cannot back up (${type}): it is switched off`, {
      hint: `Set ${SWITCHES[type]} to true.`,
    });
  }
  if (type === "database") databaseUrl(deps);
  else await (await deps.project.source(type, settings)).leave();
  // A storage or key that is wrong is told at once, and not by a job.
  const repository = await deps.openRepository(settings, { create: true });
  const jobId = point?.jobId ?? start.jobId ??
    await newBackupId(repository, { clock: deps.clock, type });
  const action = point === undefined ? `backup-${type}` : "backup-all";
  try {
    return await startJob(deps, caller, {
      settings,
      start: {
        action,
        job: {
          ...{ jobId, kind: "backup", type, backupId: jobId, reason, createdBy: caller.name },
          recoveryPointId: point?.plan.pointId ?? null,
        },
        request: {
          task: "backup",
          ...(point === undefined ? {} : { point: point.plan }),
          ...(origin === undefined ? {} : { origin }),
        },
        first: FIRST_PARTS[type],
        isHigh: point?.plan.isHigh === true,
        details: { reason },
      },
    });
  } catch (error) {
    const running = runningBackup(toBackupError(error));
    const joins = settings.onRunningBackup === "join" && point === undefined &&
      start.jobId === undefined;
    if (running === null || !joins) throw error;
    const details = { reason, joined: true };
    await recordAudit(deps, caller, { action, subject: running, outcome: "accepted", details });
    return await getJob(deps, running);
  }
}

const FIRST_PARTS: Record<JobType, readonly NewPart[]> = {
  database: FIRST_OF_BACKUP,
  function: FIRST_OF_ITEMS,
  config: FIRST_OF_ITEMS,
  secrets: FIRST_OF_ITEMS,
  files: FIRST_OF_ITEMS,
};

/** The backup that stands against a new one; null when it is something else that does. */
function runningBackup({ code, details }: BackupError): string | null {
  return code === "conflict" && details?.kind === "backup" ? String(details.jobId) : null;
}

/** What such a job is made of. */
export async function defineBackup(
  deps: Deps,
  job: Job,
  { origin = "manual" }: { origin?: Origin },
): Promise<JobDefinition> {
  const type = ITEM_TYPES.find((each) => each === job.type);
  return type === undefined
    ? await defineDatabase(deps, job, origin)
    : await defineItems(deps, job, { type, origin });
}

type Origin = "manual" | "scheduled";

async function defineDatabase(
  deps: Deps,
  { jobId, reason }: Job,
  origin: Origin,
): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const connect = connector(databaseUrl(deps));
  const yieldSeconds = settings.yieldToWaitersSeconds;
  const threads = await deps.openCopier?.(settings);
  const definition = backupInParts({
    plan: backupPlan({
      backupId: jobId,
      reason,
      origin,
      projectRef: deps.environment.projectRef,
      lockTimeoutMs: settings.lockTimeoutSeconds * 1000,
      yieldAfterMs: yieldSeconds === undefined ? null : yieldSeconds * 1000,
      maxKeeperSeconds: settings.maxKeeperSeconds,
      criticalTables: settings.criticalTables,
      relationsAPart: relationsAPart(settings, deps),
    }, { writtenBy: RELEASE }),
    dump: () => dumpOptions(connect, settings),
    connect,
    repository: await deps.openRepository(settings, { create: true }),
    holder: deps.snapshotHolder,
    clock: deps.clock,
    ...(threads === undefined ? {} : { copier: threads.copier }),
  });
  if (threads === undefined) return definition;
  return {
    ...definition,
    leave: async () => void await Promise.all([definition.leave?.(), threads.leave()]),
    end: async (how, context) => {
      await definition.end?.(how, context);
      await threads.leave();
    },
  };
}

async function defineItems(
  deps: Deps,
  { jobId, reason }: Job,
  { type, origin }: { type: ItemType; origin: Origin },
): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const threads = type === "files" ? await deps.openSaver?.(settings) : undefined;
  const repository = await deps.openRepository(settings, { create: true });
  return await reopening(async () => {
    const { source, leave } = await deps.project.source(type, settings);
    const definition = backupItems({
      ...{ backupId: jobId, reason, origin, source, repository },
      ...(threads === undefined ? {} : { saver: threads.saver }),
      database: databaseName(deps),
      clock: deps.clock,
      writtenBy: RELEASE,
    });
    return {
      ...definition,
      leave: async () => void await Promise.all([leave(), threads?.leave()]),
    };
  });
}
