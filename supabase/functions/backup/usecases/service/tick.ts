/**
 * What the scheduler calls: goes on with work that waits, starts what is due, and clears away what dead
 * workers have left.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { workerLimits } from "../../jobs/budget.ts";
import type { DriveState } from "../../jobs/drive.ts";
import type { Deps } from "../deps.ts";
import { sendUnsent } from "../people/notify_people.ts";
import { startDue } from "./start_due.ts";
import { tidy } from "./tidy.ts";

/** What a tick found and did. */
export interface TickReport {
  state: DriveState;
  /** Parts that are not done, of all jobs. */
  waiting: number;
}

/**
 * Starts this process's worker if parts wait; it goes on after the answer.
 *
 * @param call `depth`: calls in a row that led here; 0 for the clock's
 * @throws `database_unreachable`
 */
export async function tick(deps: Deps, call: { depth: number }): Promise<TickReport> {
  const { settings } = await deps.settings();
  deps.budget.limit(workerLimits(settings, { hosted: deps.environment.edgeRuntime }));
  const { parts, workers } = await deps.state.parts.waiting();
  // One worker more may stand by for those that die: the clock's, never one that another has called.
  const isEnough = call.depth > 0 && workers >= settings.maxWorkers;
  const state = parts === 0 || isEnough ? "idle" : deps.drive.wake(call.depth);
  if (call.depth === 0) {
    deps.inBackground(
      startDue(deps).catch((error) => deps.reportError(toBackupError(error), "tick: what is due")),
    );
    deps.inBackground(
      tidy(deps).catch((error) => deps.reportError(toBackupError(error), "tick: tidy")),
    );
    deps.inBackground(
      sendUnsent(deps).catch((error) => deps.reportError(toBackupError(error), "tick: messages")),
    );
  }
  return { state, waiting: parts };
}
