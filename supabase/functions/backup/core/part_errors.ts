/**
 * Errors by which parts and jobs end without anybody having thrown them.
 *
 * @module
 */
import { BackupError } from "./errors.ts";

/** Somebody asked for it. */
export function cancelledError(jobId: string): BackupError {
  return new BackupError("cancelled", `Cannot finish ${jobId}: it was cancelled by request`);
}

/** A part whose workers were lost as often as it may be tried. */
export function lostTooOften(name: string, attempts: number): BackupError {
  return new BackupError(
    "interrupted",
    `Cannot finish the job: the worker of its part ${name} was lost ${attempts} times`,
    {
      hint:
        "Start it again: what was stored is used again. A part that no worker can finish inside " +
        "its limits can be done without limits from a computer.",
    },
  );
}

/** A part that somebody else holds, or that is not wanted any more. */
export function leaseLost(name: string): BackupError {
  return new BackupError("interrupted", `Cannot go on with part ${name}: its lease is lost`);
}

/** A definition that adds no part and does not finish. */
export function nothingLeft(jobId: string): BackupError {
  return new BackupError(
    "internal",
    `Cannot finish ${jobId}: no part is left and none has said that it is done`,
  );
}

/** A part that must not be done twice, whose worker was lost. */
export function lostOnce(name: string): BackupError {
  return new BackupError(
    "interrupted",
    `Cannot finish the job: the worker that did ${name} is gone`,
    { hint: "Look at what it was to change before you start it again." },
  );
}

/** What to do when a release was deployed while a job ran. */
const START_AGAIN =
  "Start it again: what was stored is used again. Look at a restore's target before.";

/** A job of which the release that began it keeps something else between its parts. */
export function otherRelease(jobId: string, begunBy: "older" | "newer"): BackupError {
  const form = "whose jobs keep something else between their parts";
  return new BackupError(
    "other_release",
    `Cannot go on with ${jobId}: ${a(begunBy)} release began it, ${form}`,
    { hint: begunBy === "newer" ? `Deploy the newer release. ${START_AGAIN}` : START_AGAIN },
  );
}

function a(release: "older" | "newer"): string {
  return release === "older" ? "an older" : "a newer";
}

/** A part that this release does not do: one of another release began the job, or is at work on it. */
export function unknownPart(name: string): BackupError {
  return new BackupError(
    "other_release",
    `Cannot do ${name}: this release does not know such a part`,
    { hint: `Another release began the job. ${START_AGAIN}` },
  );
}
