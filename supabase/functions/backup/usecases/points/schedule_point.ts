/**
 * A recovery point for later: its backups are written down as pending, can be seen and taken back like every
 * job, and `tick` begins them together when their time has come.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { type Job, newJob } from "../../core/job.ts";
import type { PendingBackup } from "../../state/pending_backups.ts";
import type { Caller, Deps } from "../deps.ts";
import type { PointPlan } from "../jobs/job_request.ts";
import { recordAudit } from "../jobs/record_audit.ts";
import { planPoint, type PointWish, skippedOf } from "./plan_point.ts";
import { beginPoint, type StartedPoint } from "./start_point.ts";

/** The farthest time that may be asked for. */
const MOST_DAYS = 366;

/**
 * @param at when it is to begin, as ISO 8601
 * @throws `invalid_request` for a time that is not to come, or farther than a year; `conflict` when too many
 * backups wait already; as `planPoint`; `database_unreachable`: only the tables remember it
 */
export async function schedulePoint(
  deps: Deps,
  caller: Caller,
  { at, ...wish }: PointWish & { at: string },
): Promise<StartedPoint> {
  const moment = readMoment(at, deps.clock.now());
  const plan = await planPoint(deps, caller, { ...wish, at: moment });
  const { pointId, createdAt: startAt, reason, createdBy, isHigh = false } = plan;
  const backups = plan.components.flatMap(({ type, jobId }) =>
    jobId === null
      ? []
      : [{ jobId, type, reason, createdBy, point: plan, pointId, startAt, isHigh }]
  );
  await deps.state.pendingBackups.add(backups);
  await recordAudit(deps, caller, {
    ...{
      action: "create",
      subject: pointId,
      outcome: "accepted",
      details: { scheduleAt: startAt },
    },
  });
  const jobs = backups.map(({ jobId, type }): Job => ({
    ...newJob({ jobId, kind: "backup", type, backupId: jobId, reason, createdBy }, moment),
    ...{ status: "pending", recoveryPointId: pointId, recorded: true },
  }));
  return { recoveryPointId: pointId, jobs, skipped: skippedOf(plan) };
}

function readMoment(at: string, now: Date): Date {
  const moment = new Date(at);
  const days = (moment.getTime() - now.getTime()) / 86_400_000;
  if (days > 0 && days <= MOST_DAYS) return moment;
  const message = days > 0
    ? `is more than ${MOST_DAYS} days away`
    : `is not to come: it is ${now.toISOString()} now`;
  throw new BackupError("invalid_request", `Cannot plan a recovery point: scheduleAt ${message}`, {
    details: { issues: [{ path: "scheduleAt", message }] },
  });
}

/**
 * Begins those backups of a planned point that nobody has taken back.
 *
 * @param backups of one point, all pending
 * @throws as `beginPoint`
 */
export async function beginScheduled(
  deps: Deps,
  caller: Caller,
  backups: readonly PendingBackup[],
): Promise<StartedPoint> {
  const plan = backups[0]!.point as PointPlan;
  return await beginPoint(deps, caller, { plan, only: backups.map(({ jobId }) => jobId) });
}
