/**
 * Parts: the unit of work of a job, small enough for one worker, recorded when done.
 *
 * A job is a ladder of steps. All parts of one step may run at once; none starts before every part of
 * the steps below is done. A part that ends may add parts to later steps, in the same transaction that
 * marks it done, so a job always holds its own future and any worker can go on with it.
 *
 * @module
 */
import type { BackupError, ErrorCode } from "./errors.ts";
import type { Job } from "./job.ts";

/** A value that survives JSON. Pieces of a part's description and result are of this kind. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A part to add to a job. */
export interface NewPart {
  /** Rung of the ladder: 0 first. */
  step: number;
  /** What it does, such as `copy-rows`; the job's definition knows it. */
  name: string;
  /** All that a worker needs to know; at most a few megabytes. */
  payload: Json;
  /** Estimated raw bytes, for progress and for choosing; 0 when it moves none. */
  bytes: number;
}

/** A part that a worker holds: nobody else may do it until the lease ends. */
export interface Lease extends NewPart {
  jobId: string;
  /** Number within the job; never used twice, not even when the job begins again. */
  part: number;
  /** How many times the job has begun from the first step: 1 for the first time. */
  round: number;
  /** 1 for the first try. */
  attempt: number;
  /** Why the try before ended: an error's code, `interrupted` for a lost lease; null for the first. */
  previous: ErrorCode | null;
  /** Grows with each lease of a part: a result that comes with an older one is refused. */
  token: string;
  /** When the lease ends unless it is renewed; by the store's clock, ISO 8601 in UTC. */
  until: string;
  /** What the job keeps has another form than this release's: that of an older or of a newer one. */
  begunBy?: "older" | "newer";
}

/** What a part that was done gives back. */
export interface PartOutcome {
  /** Kept with the part for later steps; at most a few megabytes. */
  result: Json;
  /** Raw bytes that were really moved. @default the estimate */
  bytes?: number;
  /** Parts of later steps. */
  add?: NewPart[];
  /**
   * Parts that do this one's work instead, for one whose size was misjudged: they stand on the same
   * step, and this part counts as done without a result.
   */
  split?: NewPart[];
  /**
   * The part is not done: it waits for something outside, holds no worker meanwhile, and is taken again
   * after a pause with this payload, as if for the first time. Nothing else is said with it. What a first
   * part has learnt `forGood` it also knows when the job begins again.
   */
  again?: { afterMs: number; payload: Json; forGood?: boolean };
  /** Ends the job well; only the last part of the last step says it. */
  finish?: JobOutcome;
}

/** What a finished job gives back. */
export interface JobOutcome {
  result: Record<string, unknown>;
  sizeBytes?: number;
  checksum?: string;
  location?: string;
  /** For a restore: which backup `latest` turned out to be. */
  backupId?: string;
}

/** Bounds of parts' numbers. Parts that one part adds have numbers that follow each other, in its order. */
export interface PartNumbers {
  behind?: number;
  before?: number;
}

/** The parts that a job begins with, once this one of them has learnt something for good. */
export function withPayload(
  first: readonly NewPart[],
  { step, name, payload }: Pick<NewPart, "step" | "name" | "payload">,
): NewPart[] {
  return first.map((part) =>
    part.step === step && part.name === name ? { ...part, payload } : part
  );
}

/** Parts of one round of a job. */
export interface PartsOf extends PartNumbers {
  jobId: string;
  round: number;
}

/** A part that is done, as later steps read it. */
export interface DonePart {
  part: number;
  step: number;
  name: string;
  payload: Json;
  result: Json;
}

/** What is to become of a part that failed. */
export type PartFailure =
  /** Tried again after a pause, until its attempts are used up. */
  | { kind: "retry"; error: BackupError; afterMs: number }
  /**
   * The whole job begins again from its first parts, until its rounds are used up; from `first` where these may be
   * others than at its beginning.
   */
  | { kind: "begin-again"; error: BackupError; first?: readonly NewPart[] }
  /** The job has failed. */
  | { kind: "final"; error: BackupError };

/** What became of a part whose worker reports. */
export type Reported =
  /** Recorded. */
  | "recorded"
  /** Refused: the lease was lost, the job was cancelled or began again. Nothing was written. */
  | "lost";

/** A job's bounds, fixed when it starts. */
export interface JobBounds {
  /** Workers that may hold parts of the job at a time. */
  maxWorkers: number;
  /** Tries of one part before the job fails. */
  maxAttempts: number;
  /** Times that the job may begin from its first step. */
  maxRounds: number;
  /** Parts of jobs with a higher one are taken first. @default 0 */
  priority?: number;
}

/** How a job that ended, or a round of it, came to its end. */
export type JobEnd = "completed" | "failed" | "cancelled" | "begins-again";

/**
 * The part that every job has after its end, and every round that is given up: it frees what was held
 * outside. Its payload is {@linkcode JobEnd}; it does not change how the job ended.
 */
export const END_PART = "end";

/** The step of {@linkcode END_PART}, above all others. */
export const END_STEP = 1_000_000;

/** A job with what any worker needs to go on with it. */
export interface StartedJob {
  job: Job;
  /** What was asked for, as its use-case wrote it down. */
  request: Json;
}
