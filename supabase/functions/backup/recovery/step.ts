/**
 * What a step of a recovery plan is to the engine: something that runs once for an execution, may wait for a
 * job of its own, and tells what it did.
 *
 * @module
 */
import type { z } from "zod";
import type { JobKind } from "../core/job.ts";
import type { Json } from "../core/part.ts";
import type { ExecutionMode, RecoveryStep, StepType } from "../core/recovery.ts";
import type { Caller, Deps } from "../usecases/deps.ts";

export { type RecoveryStep, STEP_TYPES, type StepType } from "../core/recovery.ts";

/**
 * What a step came to. `skipped` is no failure: it was not needed, and `found` says why. `waiting`: a job was
 * started, or found running, and the engine looks at it until it is over, then calls `conclude`.
 */
export type StepOutcome =
  | {
    state: "done" | "skipped";
    /** In words, for people. */
    found: string;
    /** For programs and for later steps; references, never secrets. */
    details: Record<string, Json>;
    /** What a person must still do or supply, a line each. */
    byHand: string[];
  }
  | { state: "waiting"; jobId: string; kind: JobKind; found: string };

/** An outcome that is final. */
export type StepEnd = Exclude<StepOutcome, { state: "waiting" }>;

/** What a step is run with. */
export interface StepContext {
  deps: Deps;
  /** Who posted the trigger. */
  caller: Caller;
  step: RecoveryStep;
  execution: {
    executionId: string;
    planId: string;
    trigger: string;
    /** `drill` works on scratch targets and changes nothing else. */
    mode: ExecutionMode;
    /** Destructive steps run without need. */
    force: boolean;
    /** Secrets and keys that the caller named for rotation. */
    rotate: string[];
  };
  /** How the steps before ended, by id. */
  earlier: ReadonlyMap<string, StepEnd>;
  /**
   * The same for every try of the step in this execution, so that a second try finds the job that the first
   * one started.
   */
  idempotencyKey: string;
  signal: AbortSignal;
}

/** A type of step: what its parameters are and what it does. */
export interface StepKind {
  type: StepType;
  /** Strict: an unknown parameter is an error that names its path. */
  parameters: z.ZodType;
  /**
   * Does it, or starts a job and waits. May be killed anywhere and run again.
   *
   * @throws BackupError: it failed, and is tried again as often as the step says
   */
  run(context: StepContext): Promise<StepOutcome>;
  /**
   * Looks at the job that was waited for, once that has ended well or not; may start another and wait again.
   *
   * @throws BackupError when that means that the step failed
   */
  conclude?(context: StepContext, jobId: string): Promise<StepOutcome>;
}
