/**
 * An execution as a value: how it begins, and what it has come to when its steps have ended.
 *
 * @module
 */
import type { JobError, JobType } from "../core/job.ts";
import { JOB_TYPES } from "../core/job.ts";
import type {
  Execution,
  ExecutionRequest,
  RecoveryPlan,
  RecoveryStep,
  StepRecord,
} from "../core/recovery.ts";
import { orderSteps } from "./order_steps.ts";

/** What an execution is made of. Survives JSON. */
export interface ExecutionStart {
  executionId: string;
  /** As it was when the trigger came: later changes of the plan do not matter. */
  plan: RecoveryPlan;
  request: ExecutionRequest;
  startedAt: string;
  /** Whether storage has this beginning. */
  journaled: boolean;
}

/** The execution at its beginning, its steps in the order in which they are run. */
export function newExecution(start: ExecutionStart): Execution {
  const { executionId, plan, request, startedAt, journaled } = start;
  const { caller, ...asked } = request;
  return {
    executionId,
    planId: plan.id,
    planName: plan.name,
    ...asked,
    status: "running",
    initiatedBy: caller.name,
    startedAt,
    completedAt: null,
    durationMs: null,
    message: null,
    steps: orderSteps(plan.steps).map(newRecord),
    error: null,
    recorded: false,
    journaled,
  };
}

/** The execution with what became of one of its steps. */
export function withStep(execution: Execution, record: StepRecord): Execution {
  const steps = execution.steps.map((each) => each.stepId === record.stepId ? record : each);
  return { ...execution, steps };
}

/** How an execution ended. Survives JSON. */
export type ExecutionEnd = Pick<
  Execution,
  "status" | "completedAt" | "durationMs" | "message" | "error"
>;

/**
 * What the ends of all steps come to. `partial`: something was changed, and not all that the plan says came
 * about; `failed`: nothing was changed, or somebody or something stopped the execution.
 */
export function endOf(
  execution: Execution,
  { plan, at, stopped }: { plan: RecoveryPlan; at: Date; stopped?: JobError },
): ExecutionEnd {
  const acting = new Set(plan.steps.filter(isActing).map(({ id }) => id));
  const failed = execution.steps.filter(({ status }) => status !== "done" && status !== "skipped");
  const acted = execution.steps.filter(({ stepId, status }) =>
    acting.has(stepId) && status === "done"
  );
  const head = {
    completedAt: at.toISOString(),
    durationMs: Math.min(Math.max(0, at.getTime() - Date.parse(execution.startedAt)), 2 ** 31 - 1),
  };
  if (stopped !== undefined) {
    return { ...head, status: "failed", message: stopped.message, error: stopped };
  }
  if (failed.length === 0) {
    return { ...head, status: "success", message: wordsOfSuccess(execution, acting), error: null };
  }
  const error = errorOf(execution, failed);
  const status = acted.length > 0 ? "partial" : "failed";
  return { ...head, status, message: error.message, error };
}

/** Steps that change something; the others look, or tell people. */
export function isActing({ type, parameters }: RecoveryStep): boolean {
  return type !== "notification" && parameters.checkOnly !== true;
}

/** What the plan is about: the type of its first restore, for the list of jobs. */
export function typeOfPlan({ steps }: RecoveryPlan): JobType {
  const types = steps.filter(({ type }) => type === "backup_restore")
    .map(({ parameters }) => parameters.backupType);
  return JOB_TYPES.find((type) => types.includes(type)) ?? "config";
}

function wordsOfSuccess({ steps }: Execution, acting: ReadonlySet<string>): string {
  const ofActing = steps.filter(({ stepId }) => acting.has(stepId));
  const told = ofActing.length === 0 ? steps : ofActing;
  const words = (status: StepRecord["status"]) =>
    told.filter((step) => step.status === status).map(({ found }) => found ?? "").join("; ");
  if (told.some(({ status }) => status === "done")) return words("done");
  const skipped = words("skipped");
  const isRestore = ofActing.some(({ type }) => type === "backup_restore");
  return !isRestore || /^nothing to restore/i.test(skipped)
    ? skipped
    : `Nothing to restore: ${skipped}`;
}

function errorOf({ steps }: Execution, failed: readonly StepRecord[]): JobError {
  const first = failed.find(({ status }) => status === "failed") ?? failed[0]!;
  const done = steps.length - failed.length;
  const hint = first.error?.hint;
  return {
    code: "recovery_failed",
    message: `Cannot finish the plan: ${done} of ${steps.length} steps are done; ` +
      `${first.name}: ${first.error?.message ?? first.found ?? first.status}`,
    ...(hint === undefined ? {} : { hint }),
    details: {
      failed: failed.filter(({ status }) => status === "failed").map(({ stepId }) => stepId),
      notRun: failed.filter(({ status }) => status === "not_run").map(({ stepId }) => stepId),
    },
  };
}

function newRecord({ id, name, type }: RecoveryStep): StepRecord {
  return {
    ...{ stepId: id, name, type, status: "pending", startedAt: null, completedAt: null },
    ...{ durationMs: null, tries: 0, jobId: null, found: null, details: {}, byHand: [] },
    error: null,
  };
}
