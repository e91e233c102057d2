/**
 * Where jobs' parts are kept: in the service's tables, where workers of any number and place share
 * them, or in memory, where a program without a service does all of them itself.
 *
 * @module
 */
import type { Job } from "../core/job.ts";
import type {
  DonePart,
  JobBounds,
  Json,
  Lease,
  NewPart,
  PartFailure,
  PartOutcome,
  PartsOf,
  Reported,
  StartedJob,
} from "../core/part.ts";
import type { Progress } from "../core/progress.ts";

/** How much there is to do, of one job or of all. */
export interface WaitingParts {
  /** Parts that are not done. */
  parts: number;
  /** Milliseconds until the first of them may be taken, 0 for now; null when none may. */
  nextInMs: number | null;
  /** Workers that hold parts. */
  workers: number;
}

/** The contract of both stores. Times are the store's own: workers' clocks are not trusted. */
export interface PartStore {
  /** Records a job, as begun by the store's clock, and its first parts. @throws `conflict` when a job runs that excludes it */
  begin(job: Job, start: { parts: readonly NewPart[]; bounds: JobBounds; request: Json }): Promise<
    void
  >;
  /** A job that the store has parts of, running or waiting for its end part; else null. */
  find(jobId: string): Promise<StartedJob | null>;
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
  /**
   * Marks a part done, adds parts and ends the job, all or nothing. A part that ends the job well is
   * taken even when somebody has asked to cancel: what it did cannot be undone.
   */
  complete(lease: Lease, outcome: PartOutcome): Promise<Reported>;
  /** Records a failure and what follows from it. */
  fail(lease: Lease, failure: PartFailure): Promise<Reported>;
  /** Gives a part back untouched, for a worker that must end: the try does not count. */
  release(lease: Lease): Promise<void>;
  /**
   * The done parts of a job's round with that name, in order of part.
   * @param of `behind` and `before` leave out parts up to and from these numbers on
   */
  results(of: PartsOf, name: string): AsyncIterable<DonePart>;
  /** Asks for an end; running parts learn of it when they renew, and with the last of them it ends. */
  cancel(jobId: string): Promise<void>;
  /** How far a job is. */
  progress(jobId: string): Promise<Progress | null>;
  /** How much there is to do. */
  waiting(options?: { jobId?: string }): Promise<WaitingParts>;
}
