/**
 * Lets work go on that all its workers have left. The clock does that where the database has one;
 * without it, whoever looks at a running job does.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import type { Deps } from "../deps.ts";

/** Wakes a worker if one of these jobs runs and nobody is at work; returns at once. */
export function goOn(
  deps: Pick<Deps, "state" | "drive" | "inBackground" | "reportError">,
  jobs: readonly Job[],
): void {
  if (!jobs.some((job) => job.recorded && job.status === "running")) return;
  const waking = wakeIfLeft(deps);
  deps.inBackground(
    waking.catch((error) => deps.reportError(toBackupError(error), "going on with a job")),
  );
}

async function wakeIfLeft({ state, drive }: Pick<Deps, "state" | "drive">): Promise<void> {
  const { nextInMs, workers } = await state.parts.waiting();
  if (nextInMs !== null && workers === 0) drive.begin();
}
