/**
 * Starts backups of all types as one recovery point, and concludes the point when the last of them ends.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { isFinished, type Job, type JobType } from "../../core/job.ts";
import { RELEASE } from "../../core/release.ts";
import type { PointComponent, RecoveryPoint } from "../../repository/mod.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import type { Caller, Deps } from "../deps.ts";
import { describePoint } from "./describe_point.ts";
import { getJob } from "../jobs/get_job.ts";
import type { PointPlan } from "../jobs/job_request.ts";
import { recordAudit } from "../jobs/record_audit.ts";
import { recordFailedStart } from "../jobs/record_failed_start.ts";
import { planPoint, type PointWish, skippedOf } from "./plan_point.ts";
import { startBackup } from "../backup/start_backup.ts";
import { toStoredPoint } from "./stored_points.ts";

/** Within this time all jobs of a point are started, or never will be. */
const LONGEST_START_MS = 10 * 60_000;

/** Why a part is missing whose job nobody began. */
const NOT_STARTED = "it was never started: the service ended before";

/** Points that one look concludes. */
const MOST_LEFT_POINTS = 20;

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
 * @throws as `planPoint`, and as {@linkcode beginPoint}
 */
export async function startPoint(
  deps: Deps,
  caller: Caller,
  wish: PointWish,
): Promise<StartedPoint> {
  return await beginPoint(deps, caller, { plan: await planPoint(deps, caller, wish) });
}

/**
 * Starts the backups of a plan.
 *
 * @param only ids of those that are to be started: others of the plan have been begun or taken back. @default all
 * @throws `conflict` when the first backup cannot run beside what runs, `storage_*`, `key_*`
 */
export async function beginPoint(
  deps: Deps,
  caller: Caller,
  { plan, only }: { plan: PointPlan; only?: readonly string[] },
): Promise<StartedPoint> {
  await unlessUnavailable(() => deps.state.runningPoints<PointPlan>().begin(plan));
  const jobs: Job[] = [];
  const isWanted = (jobId: string) => only?.includes(jobId) ?? true;
  const isNew = plan.components.every(({ jobId }) => jobId === null || isWanted(jobId));
  for (const { type, jobId } of plan.components) {
    if (jobId === null || !isWanted(jobId)) continue;
    const isFirst = jobs.length === 0;
    jobs.push(await startOne(deps, caller, { type, jobId, plan, isFirst, isNew }));
  }
  // A job that could not be started does not end, and the others may have ended before it was known.
  await concludePoint(deps, plan);
  return { recoveryPointId: plan.pointId, jobs, skipped: skippedOf(plan) };
}

/** A point is made without tables too; who looks at those then does not see that it is being made. */
async function unlessUnavailable(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isStateUnavailable(toBackupError(error))) throw error;
  }
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
  { type, jobId, plan, isFirst, isNew }: {
    type: JobType;
    jobId: string;
    plan: PointPlan;
    isFirst: boolean;
    /** Nothing of the point has been begun. */
    isNew: boolean;
  },
): Promise<Job> {
  const { reason } = plan;
  const point = { jobId, plan };
  try {
    return await startBackup(deps, caller, { type, point, ...(reason === null ? {} : { reason }) });
  } catch (thrown) {
    const error = toBackupError(thrown);
    if (isFirst && error.code === "conflict") {
      if (isNew) await unlessUnavailable(() => deps.state.runningPoints().forget(plan.pointId));
      throw error;
    }
    const start = {
      ...{ jobId, kind: "backup" as const, type, backupId: jobId, reason, createdBy: caller.name },
      recoveryPointId: plan.pointId,
    };
    return await recordFailedStart(deps, start, error);
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
