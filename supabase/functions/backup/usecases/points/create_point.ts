/**
 * Makes a recovery point of chosen components, now or at a time, and estimates how long it will take.
 *
 * @module
 */
import type { JobType } from "../../core/job.ts";
import type { Caller, Deps } from "../deps.ts";
import { schedulePoint } from "./schedule_point.ts";
import { startPoint } from "./start_point.ts";

/** What a caller asks for. */
export interface CreatePoint {
  type: "full" | "incremental" | "manual";
  priorityLevel: "normal" | "high";
  reason: string | null;
  /** Null for all. */
  types: readonly JobType[] | null;
  /** When it is to begin, as ISO 8601; null for now. */
  scheduleAt: string | null;
}

/** Runs of the past that an estimate looks at. */
const PAST_RUNS = 5;

/** @throws as `startPoint`, or with a time as `schedulePoint` */
export async function createPoint(deps: Deps, caller: Caller, asked: CreatePoint) {
  const { type, priorityLevel, reason, types, scheduleAt } = asked;
  const isHigh = priorityLevel === "high";
  const words = [type, ...(isHigh ? ["high priority"] : [])].join(", ");
  const wish = {
    ...{ isHigh, reason: reason === null ? words : `${words}: ${reason}` },
    ...(types === null ? {} : { types }),
  };
  const { recoveryPointId, jobs, skipped } = scheduleAt === null
    ? await startPoint(deps, caller, wish)
    : await schedulePoint(deps, caller, { ...wish, at: scheduleAt });
  const estimates = await Promise.all(jobs.map((job) => usualSeconds(deps, job.type)));
  const known = estimates.filter((each) => each !== null);
  return {
    backupId: recoveryPointId,
    // The jobs run beside each other.
    estimatedDuration: known.length === 0 ? null : Math.max(...known),
    scheduledComponents: jobs.map(({ type, jobId, status, error }) => ({
      ...{ type, jobId, status, reason: error?.message ?? null },
    })),
    skipped,
    recoveryPointsCreated: 1,
  };
}

/** The mean of the last runs; null when there was none. */
async function usualSeconds(deps: Deps, type: JobType): Promise<number | null> {
  const { jobs } = await deps.state.jobs.list({
    ...{ kind: "backup", type, status: "completed", limit: PAST_RUNS, offset: 0 },
  });
  const seconds = jobs.flatMap(({ startedAt, completedAt }) =>
    completedAt === null ? [] : (Date.parse(completedAt) - Date.parse(startedAt)) / 1000
  );
  if (seconds.length === 0) return null;
  return Math.ceil(seconds.reduce((sum, each) => sum + each, 0) / seconds.length);
}
