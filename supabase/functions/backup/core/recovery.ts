/**
 * Recovery plans and their executions, as the tables, the storage, the API and the engine all see them.
 *
 * @module
 */
import type { JobError } from "./job.ts";
import type { Json } from "./part.ts";

/** The types of steps, as the guide names them. */
export const STEP_TYPES = [
  "backup_restore",
  "service_restart",
  "config_update",
  "data_migration",
  "notification",
] as const;

/** One of {@linkcode STEP_TYPES}. */
export type StepType = typeof STEP_TYPES[number];

/** How urgent a plan is, the least first. */
export const PRIORITIES = ["low", "medium", "high", "critical"] as const;

/** One of {@linkcode PRIORITIES}. */
export type Priority = typeof PRIORITIES[number];

/** The trigger that every plan has and none may list: it runs the plan as a drill. */
export const TEST_TRIGGER = "test_trigger";

/** A step of a plan, as the guide structures it. */
export interface RecoveryStep {
  id: string;
  name: string;
  description: string;
  type: StepType;
  order: number;
  /** Minutes, of each try. */
  timeout: number;
  /** Tries after the first. */
  retryCount: number;
  /** Ids of steps that must have been done or skipped before. */
  dependencies: string[];
  parameters: Record<string, Json>;
}

/** What a plan should reach; kept and shown, not measured yet. */
export interface PlanObjectives {
  rtoTargetMinutes?: number;
  rpoTargetMinutes?: number;
}

/** A plan, as the guide structures it. */
export interface RecoveryPlan {
  id: string;
  name: string;
  description: string;
  priority: Priority;
  triggers: string[];
  steps: RecoveryStep[];
  /** Minutes. */
  estimatedRecoveryTime: number;
  enabled: boolean;
  objectives?: PlanObjectives;
}

/** A plan with what the service knows of it. */
export interface KnownPlan extends RecoveryPlan {
  /** The end of its newest execution that succeeded, ISO 8601 in UTC; null before the first. */
  lastTested: string | null;
  /** It comes with the software: it can be disabled and not removed. */
  isDefault: boolean;
  /** Grows with every change; 0 for a default plan that was never changed. */
  version: number;
}

/** How an execution stands. */
export const EXECUTION_STATUSES = ["running", "success", "failed", "partial"] as const;

/** One of {@linkcode EXECUTION_STATUSES}. */
export type ExecutionStatus = typeof EXECUTION_STATUSES[number];

/** `live` acts; `drill` works on scratch targets and changes nothing else. */
export const EXECUTION_MODES = ["live", "drill"] as const;

/** One of {@linkcode EXECUTION_MODES}. */
export type ExecutionMode = typeof EXECUTION_MODES[number];

/** How a step stands. `not_run`: one that it depends on failed. */
export type StepStatus =
  | "pending"
  | "running"
  | "waiting"
  | "done"
  | "skipped"
  | "failed"
  | "not_run";

/** What became of a step. Times are ISO 8601 in UTC. */
export interface StepRecord {
  stepId: string;
  name: string;
  type: StepType;
  status: StepStatus;
  startedAt: string | null;
  completedAt: string | null;
  durationMs: number | null;
  /** Tries so far. */
  tries: number;
  /** The job that it started, while it waits for it and afterwards. */
  jobId: string | null;
  /** In words, for people. */
  found: string | null;
  /** For programs; references, never secrets. */
  details: Record<string, Json>;
  /** What a person must still do or supply, a line each. */
  byHand: string[];
  error: JobError | null;
}

/** What was asked for when an execution began. Survives JSON. */
export interface ExecutionRequest {
  trigger: string;
  mode: ExecutionMode;
  /** Destructive steps run without need. */
  force: boolean;
  /** Secrets and keys that the caller named for rotation. */
  rotate: string[];
  idempotencyKey: string | null;
  caller: { name: string; requestId: string };
}

/** One run of a plan. Survives JSON. */
export interface Execution extends Omit<ExecutionRequest, "caller"> {
  executionId: string;
  planId: string;
  planName: string;
  status: ExecutionStatus;
  /** Name of the key that posted the trigger. */
  initiatedBy: string;
  startedAt: string;
  completedAt: string | null;
  durationMs: number | null;
  /** What it came to, in words; null while it runs. */
  message: string | null;
  steps: StepRecord[];
  error: JobError | null;
  /** False when the tables could not be written: storage and the process that runs it know it. */
  recorded: boolean;
  /** The same of storage. */
  journaled: boolean;
}

/** Whether nothing will happen to the execution any more. */
export function hasEnded({ status }: Pick<Execution, "status">): boolean {
  return status !== "running";
}
