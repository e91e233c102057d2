/**
 * Decides what a recovery point will be made of, and gives each of its backups an id.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import { newPointId } from "../../core/ids.ts";
import { JOB_TYPES, type JobType } from "../../core/job.ts";
import type { Settings } from "../../core/settings.ts";
import { newBackupId } from "../backup/new_backup_id.ts";
import type { Caller, Deps } from "../deps.ts";
import type { PointPlan } from "../jobs/job_request.ts";
import { SWITCHES } from "../service/what_is_due.ts";

/** What a caller asks for. */
export interface PointWish {
  /** @default every type that is switched on */
  types?: readonly JobType[];
  reason: string | null;
  /** @default asked for by somebody */
  origin?: "scheduled";
  /** Its backups go before others. @default false */
  isHigh?: boolean;
}

/**
 * The plan of a point that is begun at this moment. A type that cannot be saved here is left out with the
 * reason.
 *
 * @throws `invalid_config` when nothing can be saved at all, `storage_*`, `key_*`
 */
export async function planPoint(
  deps: Deps,
  caller: Caller,
  { types, reason, origin, isHigh = false, at = deps.clock.now() }: PointWish & { at?: Date },
): Promise<PointPlan> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings, { create: true });
  const clock = { ...deps.clock, now: () => at };
  const components: PointPlan["components"] = [];
  for (const type of JOB_TYPES) {
    const left = await whyLeftOut(deps, { type, settings, types });
    const jobId = left === null ? await newBackupId(repository, { clock, type }) : null;
    components.push({ type, jobId, reason: left });
  }
  if (components.every(({ jobId }) => jobId === null)) throw nothingToSave(components);
  return {
    ...{ pointId: newPointId(at), createdAt: at.toISOString(), reason },
    ...{ createdBy: caller.name, components },
    ...(origin === undefined ? {} : { origin }),
    ...(isHigh ? { isHigh } : {}),
  };
}

/** Why a type is not part of a point; null when it is. */
export async function whyLeftOut(
  deps: Deps,
  { type, settings, types }: {
    type: JobType;
    settings: Settings;
    types?: readonly JobType[] | undefined;
  },
): Promise<string | null> {
  if (types !== undefined && !types.includes(type)) return "not asked for";
  if (!settings[SWITCHES[type]]) return `switched off by ${SWITCHES[type]}`;
  if (type === "database") {
    return deps.environment.databaseUrl === null ? "no address of a database is set" : null;
  }
  try {
    await (await deps.project.source(type, settings)).leave();
    return null;
  } catch (error) {
    const { code, message, hint } = toBackupError(error);
    if (code !== "invalid_config") return null; // it is tried, and then told by its job
    return hint === undefined ? message : `${message}. ${hint}`;
  }
}

/** Types that a plan leaves out, with the reasons. */
export function skippedOf({ components }: PointPlan): { type: JobType; reason: string }[] {
  return components.flatMap(({ type, jobId, reason }) =>
    jobId === null ? [{ type, reason: reason ?? "" }] : []
  );
}

function nothingToSave(components: PointPlan["components"]): BackupError {
  const why = components.map(({ type, reason }) => `${type}: ${reason}`).join("; ");
  return new BackupError("invalid_config", `Cannot make a recovery point: ${why}`, {
    hint: "Switch a type on, or set what it needs.",
  });
}
