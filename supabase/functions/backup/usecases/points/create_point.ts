/**
 * Makes a recovery point of chosen components and estimates how long it will take.
 *
 * @module
 */
import type { JobType } from "../../core/job.ts";
import type { Caller, Deps } from "../deps.ts";
import { startPoint } from "./start_point.ts";

/** What a caller asks for. */
export interface CreatePoint {
  type: "full" | "incremental" | "manual";
  priorityLevel: "normal" | "high";
  reason: string | null;
  /** Null for all. */
  types: readonly JobType[] | null;
}

/** Runs of the past that an estimate looks at. */
const PAST_RUNS = 5;

/** @throws as `startPoint` */
export async function createPoint(deps: Deps, caller: Caller, asked: CreatePoint) {
  const { type, priorityLevel, reason, types } = asked;
  const words = [type, ...(priorityLevel === "high" ? ["high priority"] : [])].join(", ");
  const { recoveryPointId, jobs, skipped } = await startPoint(deps, caller, {
    reason: reason === null ? words : `${words}: ${reason}`,
    ...(types === null ? {} : { types }),
  });
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
