/**
 * Starts the restore of a whole recovery point as one job: first the database, in its own right order, then
 * objects, functions, settings, and at last what is known of secrets.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { newJobId } from "../../core/ids.ts";
import type { Job, JobType } from "../../core/job.ts";
import { firstOfSequence, inSequence, type Stage } from "../../jobs/in_sequence.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import type { RecoveryPoint } from "../../repository/mod.ts";
import type { Caller, Deps } from "../deps.ts";
import { withInactiveCronJobs } from "./inactive_cron_jobs.ts";
import type { PointRestoreRequest } from "../jobs/job_request.ts";
import { ACCEPT_LOST, refuseLost } from "../restore/lost_backups.ts";
import { refuseHalfRestored } from "../restore/refuse_half_restored.ts";
import { contentReader, FIRST_OF_ITEM_RESTORE } from "../items/restore_items.ts";
import { FIRST_OF_RESTORE } from "../restore/parts_of_restore.ts";
import { addressOf, defineRestore } from "../restore/start_restore.ts";
import { defineItemRestore } from "../items/start_item_restore.ts";
import { presentPoints } from "./present_point.ts";
import { startJob } from "../jobs/start_job.ts";

/** Rows before the objects that belong to them, code before the settings that may point to it. */
const ORDER: readonly JobType[] = ["database", "files", "function", "config", "secrets"];

/** What a caller asks for. */
export interface StartPointRestore
  extends Omit<PointRestoreRequest, "parts" | "pointId" | "leftOut"> {
  /** Id of a recovery point, or `latest`. */
  pointId: string;
  reason: string | null;
}

/**
 * All parts must be there and reachable before anything begins.
 *
 * @throws `backup_not_found`, `backups_lost`, `restore_refused` for a point without backups, `conflict`, `invalid_config`
 */
export async function startPointRestore(
  deps: Deps,
  caller: Caller,
  { reason, ...asked }: StartPointRestore,
): Promise<Job> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const stored = await repository.readPoint(asked.pointId);
  const [point = stored] = await presentPoints(repository, [stored]);
  const parts = partsOf(point);
  for (const { type, backupId } of parts) {
    const { record } = await repository.readBackup(backupId, { type });
    if (asked.pointId === "latest") refuseHalfRestored(record);
    if (!asked.items.acceptHazards.includes(ACCEPT_LOST)) {
      await refuseLost(deps, repository, {
        chosen: backupId,
        newest: asked.pointId === "latest",
      });
    }
    if (type === "database") {
      await addressOf(deps, asked.targetDatabaseUrl);
    } else {
      const how = { replace: asked.items.replace, open: contentReader(repository) };
      await (await deps.project.target(type, settings, how)).leave();
    }
  }
  const [first] = stagesOf(parts, asked.items);
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "restore",
      job: {
        // It stands against every other restore and backup of the database.
        ...{ jobId: newJobId("restore", deps.clock.now()), kind: "restore", type: "database" },
        ...{ backupId: point.pointId, reason, createdBy: caller.name },
      },
      request: {
        task: "restore-point",
        request: {
          ...{ ...asked, pointId: point.pointId, parts, leftOut: leftOutOf(point) },
          database: { ...asked.database, criticalTables: settings.criticalTables },
        },
      },
      first: firstOfSequence(
        first!.name,
        first!.type === "database" ? FIRST_OF_RESTORE : FIRST_OF_ITEM_RESTORE,
      ),
      details: { pointId: point.pointId, parts, dryRun: asked.items.dryRun },
    },
  });
}

function partsOf(point: RecoveryPoint): PointRestoreRequest["parts"] {
  const parts = ORDER.flatMap((type) => {
    const backupId = point.components.find((each) => each.type === type)?.backupId;
    return backupId === undefined || backupId === null ? [] : [{ type, backupId }];
  });
  if (parts.length > 0) return parts;
  throw new BackupError("restore_refused", `Cannot restore ${point.pointId}: it has no backups`, {
    hint: "Choose another recovery point (action=recovery-points).",
  });
}

/** What a point does not bring back, in the words in which it was made. */
function leftOutOf({ components }: RecoveryPoint): PointRestoreRequest["leftOut"] {
  return components.flatMap(({ type, backupId, status, reason }) =>
    backupId === null ? [{ type, reason: reason ?? status }] : []
  );
}

/** One stage, by name. */
interface PlannedStage {
  name: string;
  type: JobType;
  backupId: string;
  isCheck: boolean;
}

/**
 * What is done one after the other. Before anything is changed all types but the first one are planned, so
 * that settings that may not be replaced are known before the database has been. The first one plans itself
 * before it changes anything; secrets are only compared.
 */
function stagesOf(
  parts: PointRestoreRequest["parts"],
  { dryRun }: Pick<PointRestoreRequest["items"], "dryRun">,
): PlannedStage[] {
  const checked = parts.slice(1).filter(({ type }) => type !== "secrets");
  const checks = dryRun === false ? checked : [];
  return [
    ...checks.map((part) => ({ ...part, name: `looking ahead at ${part.type}`, isCheck: true })),
    ...parts.map((part) => ({ ...part, name: part.type, isCheck: false })),
  ];
}

/** What such a job is made of. */
export async function definePointRestore(
  deps: Deps,
  job: Job,
  { pointId, parts, leftOut, targetDatabaseUrl, database, items, cronJobs }: PointRestoreRequest,
): Promise<JobDefinition> {
  const stages: Stage[] = [];
  for (const { name, type, backupId, isCheck } of stagesOf(parts, items)) {
    const definition = type === "database"
      ? await defineRestore(deps, job, {
        ...{ backupId, targetDatabaseUrl, request: database },
        ...(cronJobs === "inactive" ? { view: withInactiveCronJobs } : {}),
      })
      : await defineItemRestore(deps, { ...job, type }, {
        ...{ ...items, type, backupId, only: [] },
        ...(isCheck ? { dryRun: "refuse" } : {}),
      });
    stages.push({ name, definition, isCheck });
  }
  return inSequence({
    stages,
    // Objects that cannot be put back are no reason to leave functions and settings as they are.
    goesOnAfter: ({ code }) => code === "restore_incomplete",
    about: { pointId, leftOut },
  });
}
