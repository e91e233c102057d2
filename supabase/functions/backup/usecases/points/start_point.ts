/**
 * Starts backups of all types as one recovery point, and concludes the point when the last of them ends.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import { newPointId } from "../../core/ids.ts";
import {
  isFinished,
  type Job,
  JOB_TYPES,
  type JobType,
  newJob,
  toJobError,
} from "../../core/job.ts";
import { RELEASE } from "../../core/release.ts";
import type { Settings } from "../../core/settings.ts";
import type { PointComponent, RecoveryPoint } from "../../repository/mod.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import type { Caller, Deps } from "../deps.ts";
import { describePoint } from "./describe_point.ts";
import { getJob } from "../jobs/get_job.ts";
import type { PointPlan } from "../jobs/job_request.ts";
import { newBackupId } from "../backup/new_backup_id.ts";
import { recordAudit } from "../jobs/record_audit.ts";
import { startBackup } from "../backup/start_backup.ts";
import { toStoredPoint } from "./stored_points.ts";
import { SWITCHES } from "../service/what_is_due.ts";

/** Within this time all jobs of a point are started, or never will be. */
const LONGEST_START_MS = 10 * 60_000;

/** Why a part is missing whose job nobody began. */
const NOT_STARTED = "it was never started: the service ended before";

/** Points that one look concludes. */
const MOST_LEFT_POINTS = 20;

/** What a caller asks for. */
export interface StartPoint {
  /** @default every type that is switched on */
  types?: readonly JobType[];
  reason: string | null;
  /** @default asked for by somebody */
  origin?: "scheduled";
}

/** A recovery point that is being made. */
export interface StartedPoint {
  recoveryPointId: string;
  jobs: Job[];
  skipped: { type: JobType; reason: string }[];
}

/**
 * Starts one backup of each type. A type that cannot be saved here is left out with the reason, and one
 * that fails leaves the others standing.
 *
 * @throws `invalid_config` when nothing can be saved at all, `conflict` when its first backup cannot run beside
 * what runs, `storage_*`, `key_*`
 */
export async function startPoint(
  deps: Deps,
  caller: Caller,
  { types, reason, origin }: StartPoint,
): Promise<StartedPoint> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings, { create: true });
  const now = deps.clock.now();
  const components: PointPlan["components"] = [];
  for (const type of JOB_TYPES) {
    const left = await whyLeftOut(deps, { type, settings, types });
    const jobId = left === null ? await newBackupId(repository, { clock: deps.clock, type }) : null;
    components.push({ type, jobId, reason: left });
  }
  if (components.every(({ jobId }) => jobId === null)) throw nothingToSave(components);
  const plan: PointPlan = {
    ...{ pointId: newPointId(now), createdAt: now.toISOString(), reason },
    ...{ createdBy: caller.name, components },
    ...(origin === undefined ? {} : { origin }),
  };
  await unlessUnavailable(() => deps.state.runningPoints<PointPlan>().begin(plan));
  const jobs: Job[] = [];
  for (const { type, jobId } of components) {
    if (jobId === null) continue;
    const job = await startOne(deps, caller, { type, jobId, plan, isFirst: jobs.length === 0 });
    jobs.push(job);
  }
  // A job that could not be started does not end, and the others may have ended before it was known.
  await concludePoint(deps, plan);
  return {
    recoveryPointId: plan.pointId,
    jobs,
    skipped: components.flatMap(({ type, jobId, reason }) =>
      jobId === null ? [{ type, reason: reason ?? "" }] : []
    ),
  };
}

/** A point is made without tables too; who looks at those then does not see that it is being made. */
async function unlessUnavailable(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isStateUnavailable(toBackupError(error))) throw error;
  }
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

function nothingToSave(components: PointPlan["components"]): BackupError {
  const why = components.map(({ type, reason }) => `${type}: ${reason}`).join("; ");
  return new BackupError("invalid_config", `Cannot make a recovery point: ${why}`, {
    hint: "Switch a type on, or set what it needs.",
  });
}

/**
 * A job that cannot be started is recorded as failed: the point says why. Where already the first one is in
 * the way of another job, as when somebody asks twice, there is no point to make.
 *
 * @throws `conflict`
 */
async function startOne(
  deps: Deps,
  caller: Caller,
  { type, jobId, plan, isFirst }: {
    type: JobType;
    jobId: string;
    plan: PointPlan;
    isFirst: boolean;
  },
): Promise<Job> {
  const { reason } = plan;
  const point = { jobId, plan };
  try {
    return await startBackup(deps, caller, { type, point, ...(reason === null ? {} : { reason }) });
  } catch (thrown) {
    const error = toBackupError(thrown);
    if (isFirst && error.code === "conflict") {
      await unlessUnavailable(() => deps.state.runningPoints().forget(plan.pointId));
      throw error;
    }
    const start = {
      ...{ jobId, kind: "backup" as const, type, backupId: jobId, reason, createdBy: caller.name },
      recoveryPointId: plan.pointId,
    };
    const failed: Job = {
      ...newJob(start, deps.clock.now()),
      status: "failed",
      completedAt: deps.clock.now().toISOString(),
      error: toJobError(error),
    };
    return { ...failed, ...await deps.state.jobs.finish(failed) };
  }
}

/**
 * Keeps the point once all of its jobs have ended; each of them asks, and the last one finds it so.
 *
 * @returns null while a job goes on
 */
export async function concludePoint(deps: Deps, plan: PointPlan): Promise<RecoveryPoint | null> {
  const jobs = new Map<string, Job>();
  const isOver = deps.clock.now().getTime() - Date.parse(plan.createdAt) > LONGEST_START_MS;
  for (const { jobId } of plan.components) {
    if (jobId === null) continue;
    const job = await findJob(deps, jobId);
    if (job === null ? !isOver : !isFinished(job)) return null;
    if (job !== null) jobs.set(jobId, job);
  }
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const components: PointComponent[] = plan.components.map(({ type, jobId, reason }) =>
    toComponent(type, {
      job: jobId === null ? null : jobs.get(jobId) ?? null,
      reason: jobId === null ? reason : NOT_STARTED,
    })
  );
  const last = [...jobs.values()].map(({ completedAt }) => completedAt ?? "").sort().at(-1);
  const point = await repository.commitPoint({
    format: 1,
    ...{ pointId: plan.pointId, createdAt: plan.createdAt, completedAt: last ?? plan.createdAt },
    ...{ reason: plan.reason, origin: plan.origin ?? "manual", createdBy: plan.createdBy },
    ...describePoint(components),
    components,
    writtenBy: RELEASE,
  });
  await unlessUnavailable(async () => {
    const row = toStoredPoint(point, repository.location);
    await deps.state.recoveryPoints.addFromStorage([row]);
  });
  await recordAudit(deps, { name: plan.createdBy, requestId: plan.pointId }, {
    ...{ action: "backup-all", subject: plan.pointId, details: { status: point.status } },
    outcome: point.status === "failed" ? "failed" : "completed",
  });
  return point;
}

/**
 * Concludes points whose service died before it had started all of their jobs, or before the last of them
 * was asked: the others stand.
 *
 * @returns ids of the points that are concluded now
 */
export async function concludeLeftPoints(deps: Deps): Promise<string[]> {
  const concluded: string[] = [];
  for (
    const plan of await deps.state.runningPoints<PointPlan>().list({ limit: MOST_LEFT_POINTS })
  ) {
    const point = await concludePoint(deps, plan);
    if (point !== null) concluded.push(point.pointId);
  }
  return concluded;
}

/** Null for one that is not started yet. */
async function findJob(deps: Deps, jobId: string): Promise<Job | null> {
  try {
    return await getJob(deps, jobId, "backup");
  } catch (error) {
    if (toBackupError(error).code === "not_found") return null;
    throw error;
  }
}

function toComponent(
  type: JobType,
  { job, reason }: { job: Job | null; reason: string | null },
): PointComponent {
  const none = { type, backupId: null, from: null, to: null };
  if (job === null) {
    return { ...none, status: reason === NOT_STARTED ? "failed" : "skipped", reason };
  }
  if (job.status !== "completed") {
    return { ...none, status: "failed", reason: job.error?.message ?? `the job was ${job.status}` };
  }
  const result = job.result ?? {};
  const { snapshotAt } = (result.consistency ?? {}) as { snapshotAt?: string };
  const remarks = (result.remarks ?? []) as string[];
  return {
    type,
    status: result.partial === true ? "partial" : "completed",
    backupId: job.backupId,
    from: snapshotAt ?? String(result.createdAt ?? job.startedAt),
    to: snapshotAt ?? String(result.completedAt ?? job.completedAt),
    reason: result.partial === true ? remarks.join("; ") : null,
  };
}
