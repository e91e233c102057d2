/**
 * When what runs by itself runs next, as `status` tells it.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { JOB_TYPES } from "../../core/job.ts";
import type { Settings } from "../../core/settings.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import type { Deps } from "../deps.ts";
import { whyLeftOut } from "../points/plan_point.ts";
import { type DueWork, whatIsDue } from "./what_is_due.ts";

/** Null while the tables are out of reach: then nothing runs by itself. */
export async function readDue(deps: Deps, settings: Settings): Promise<DueWork | null> {
  try {
    const runs = await deps.state.latestRuns.read();
    const work = whatIsDue(settings, runs, runs.now);
    for (const type of JOB_TYPES) {
      // What is due and cannot be saved here stays so with every tick; what never ran may be of that kind.
      const { isDue, dueAt } = work.backups[type];
      if (!isDue && (dueAt === null || runs.backups[type] !== undefined)) continue;
      const why = await whyLeftOut(deps, { type, settings });
      if (why !== null) work.backups[type] = { dueAt: null, isDue: false, retry: 0, why };
    }
    return work;
  } catch (error) {
    const failure = toBackupError(error);
    if (!isStateUnavailable(failure) && failure.code !== "invalid_config") throw failure;
    return null;
  }
}
