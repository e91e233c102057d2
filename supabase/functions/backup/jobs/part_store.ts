/**
 * Where jobs' parts are kept: in the service's tables, where workers of any number and place share
 * them, or in memory, where a program without a service does all of them itself.
 *
 * @module
 */
import type { Job } from "../core/job.ts";
import type { Progress } from "../core/progress.ts";
import type { DonePart, Lease, NewPart, PartFailure, PartOutcome } from "./part.ts";

/** A job's bounds, fixed when it starts. */
export interface JobBounds {
  /** Workers that may hold a part of the job at a time. */
  maxWorkers: number;
  /** Tries of one part before the job fails. */
  maxAttempts: number;
  /** Times that the job may begin from its first step. */
  maxRounds: number;
}

/** What became of a part whose worker reports. */
export type Reported =
  /** Recorded. */
  | "recorded"
  /** Refused: the lease was lost, the job was cancelled or began again. Nothing was written. */
  | "lost";

/** The contract of both stores. Times are the store's own: workers' clocks are not trusted. */
export interface PartStore {
  /** Records a job and its first parts. @throws `conflict` when a job runs that excludes it */
  begin(job: Job, parts: readonly NewPart[], bounds: JobBounds): Promise<void>;
  /**
   * Takes the next part that may be done, of `jobId` or of any job; a part whose lease has ended
   * counts as not taken. Null when there is none now.
   */
  claim(options: { worker: string; leaseMs: number; jobId?: string }): Promise<Lease | null>;
  /** Prolongs a lease and keeps its progress. `lost` and `cancel` tell the worker to stop the part. */
  renew(
    lease: Lease,
    options: { leaseMs: number; bytesDone?: number; phase?: string },
  ): Promise<{ lost: boolean; cancel: boolean }>;
  /** Marks a part done, adds parts and ends the job, all or nothing. */
  complete(lease: Lease, outcome: PartOutcome): Promise<Reported>;
  /** Records a failure and what follows from it. */
  fail(lease: Lease, failure: PartFailure): Promise<Reported>;
  /** Gives a part back untouched, for a worker that must end. */
  release(lease: Lease): Promise<void>;
  /** The done parts of a job's present round with that name, in order of part. */
  results(jobId: string, name: string): AsyncIterable<DonePart>;
  /** Asks for an end; running parts learn of it when they renew. */
  cancel(jobId: string): Promise<void>;
  /** How far a job is. */
  progress(jobId: string): Promise<Progress | null>;
  /** Whether any part waits, and the milliseconds until the first one may be taken: 0 for now. */
  waiting(options?: { jobId?: string }): Promise<{ parts: number; nextInMs: number | null }>;
}
