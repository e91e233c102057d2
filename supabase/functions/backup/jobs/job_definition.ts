/**
 * What a job does, told once for all places where it may run: a hosted function that is killed after
 * two seconds of CPU, a server without limits, a terminal.
 *
 * @module
 */
import type { DonePart, JobEnd, Lease, NewPart, PartNumbers, PartOutcome } from "../core/part.ts";
import type { Progress } from "../core/progress.ts";

/** What a part is done with. */
export interface PartContext {
  /** Aborted when the lease is lost, the job cancelled or the worker's budget at its very end. */
  signal: AbortSignal;
  /** Tells raw bytes done and, for a part that takes long, what it does now. */
  onProgress: (progress: Partial<Pick<Progress, "phase" | "bytesDone">>) => void;
  /** Results of parts of earlier steps of the same round; of some of them only, by their numbers. */
  results: (name: string, numbers?: PartNumbers) => AsyncIterable<DonePart>;
}

/** One kind of job. */
export interface JobDefinition {
  /** The first parts of every round. */
  first(): NewPart[];
  /**
   * Does one part. It may be killed at any moment and done again by another worker: what it leaves
   * outside must bear being done twice.
   *
   * @throws anything; `concurrent_ddl`, `snapshot_lost` and `chunks_lost` make the job begin again, errors
   * of the network and of locks are tried again, all else ends the job
   */
  run(lease: Lease, context: PartContext): Promise<PartOutcome>;
  /**
   * Names of parts that must not be done twice: whatever goes wrong with one of them ends the job, also
   * when only its worker is lost and nobody can tell how far it came.
   */
  once?: readonly string[];
  /**
   * A job that another release began, whose parts this one cannot read, begins again from `first`: nothing of
   * it counts before its end. Other jobs end with `other_release`.
   *
   * @default false
   */
  beginsAnew?: boolean;
  /**
   * Frees what the job holds outside (a keeper, marks), once it has ended in whatever way, or one round
   * of it. Any worker may be asked to, one that did no part of the job too; it is tried again when it
   * throws, and changes nothing about how the job ended.
   */
  end?(how: JobEnd, context: Pick<PartContext, "results">): Promise<void>;
  /** Frees what this worker holds for the job (connections): it does no part of it for now. */
  leave?(): Promise<void>;
}
