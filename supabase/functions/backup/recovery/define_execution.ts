/**
 * An execution as a job: each step is a part, so any worker can go on with it, and a step that waits for a job
 * of its own holds none. Each beginning and end is in the journal before the next thing is done.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { fromJobError, type JobError, toJobError } from "../core/job.ts";
import { toJson } from "../core/json.ts";
import type { JobEnd, Lease, NewPart, PartOutcome } from "../core/part.ts";
import { cancelledError } from "../core/part_errors.ts";
import {
  type Execution,
  hasEnded,
  type RecoveryStep,
  type StepRecord,
  type StepType,
} from "../core/recovery.ts";
import type { JobDefinition, PartContext } from "../jobs/job_definition.ts";
import type { Deps } from "../usecases/deps.ts";
import { getJob } from "../usecases/jobs/get_job.ts";
import { recordAudit } from "../usecases/jobs/record_audit.ts";
import { endOf, type ExecutionStart, newExecution, withStep } from "./execution.ts";
import { Journal } from "./journal.ts";
import { missingFor, orderSteps } from "./order_steps.ts";
import { recordExecution, unlessUnavailable } from "./record_execution.ts";
import { firstTurn, runTurn, type Turn } from "./run_turn.ts";
import type { StepContext, StepKind } from "./step.ts";
import { STEP_KINDS } from "./steps/mod.ts";
import { endsWell, finished, recordOf, wordsOf } from "./step_record.ts";
import { tellEnd } from "./tell_execution.ts";

/** Names of the parts. */
const STEP = "running-a-step";
const CONCLUDE = "summing-up";

/** What the job was begun with. Survives JSON. */
export interface AskedExecution extends ExecutionStart {
  task: "recovery";
}

/** The parts that an execution begins with. */
export function firstOfExecution(): NewPart[] {
  return [partOf(0, false)];
}

/** What the job is made of. @param kinds for tests */
export function defineExecution(
  deps: Deps,
  asked: AskedExecution,
  kinds: Readonly<Record<StepType, StepKind>> = STEP_KINDS,
): JobDefinition {
  const run = new ExecutionRun(deps, asked, kinds);
  return {
    first: firstOfExecution,
    run: (lease, context) =>
      lease.name === CONCLUDE ? run.conclude(context) : run.step(lease, context),
    end: (how, context) => run.end(how, context),
  };
}

class ExecutionRun {
  readonly #deps: Deps;
  readonly #asked: AskedExecution;
  readonly #kinds: Readonly<Record<StepType, StepKind>>;
  readonly #journal: Journal;
  readonly #steps: RecoveryStep[];

  constructor(
    deps: Deps,
    asked: AskedExecution,
    kinds: Readonly<Record<StepType, StepKind>>,
  ) {
    this.#deps = deps;
    this.#asked = asked;
    this.#kinds = kinds;
    this.#journal = new Journal(deps, asked.executionId);
    this.#steps = orderSteps(asked.plan.steps);
  }

  /** A turn of a step. */
  async step(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const turn = lease.payload as unknown as Turn;
    const step = this.#steps[turn.at]!;
    const execution = await this.#soFar(context);
    context.onProgress({ phase: step.name });
    // A worker before this one may have been lost after the end and before it could say so.
    const known = lease.attempt > 1 ? await this.#journal.endOfStep(turn.at, step.id) : null;
    if (known !== null) return await this.#next(execution, known, turn.at);
    const blank = execution.steps[turn.at]!;
    const missing = missingFor(
      step,
      (id) => execution.steps.find(({ stepId }) => stepId === id)?.status,
    );
    if (missing.length > 0) {
      const found = `not run: ${missing.join(", ")} did not end well`;
      return await this.#ended(execution, { ...blank, status: "not_run", found }, turn.at);
    }
    if (turn.startedAt === null) {
      turn.startedAt = this.#deps.clock.now().toISOString();
      const begun = recordOf(blank, turn, { status: "running" });
      await this.#journal.stepBegins(turn.at, begun);
      await this.#record(withStep(execution, begun));
    }
    return await this.#take(execution, { step, turn, blank, signal: context.signal });
  }

  /** After the last step. @throws `recovery_failed` when the plan has not done all that it says */
  async conclude(context: PartContext): Promise<PartOutcome> {
    const ended = await this.#conclude(await this.#soFar(context));
    if (ended.error !== null) throw fromJobError(ended.error);
    return { result: null, finish: { result: { ...ended } } };
  }

  /** However the job ended: the execution ends with it, and people hear of it. */
  async end(how: JobEnd, context: Pick<PartContext, "results">): Promise<void> {
    if (how === "begins-again") return;
    const { executionId, request, plan } = this.#asked;
    const now = await this.#known();
    const ended = now !== null && hasEnded(now)
      ? now
      : await this.#stop(now ?? await this.#soFar(context), await this.#reason(how));
    if (ended.status === "success") {
      const at = ended.completedAt!;
      await unlessUnavailable(this.#deps, () => this.#deps.state.plans.markTested(plan.id, at));
    }
    await recordAudit(this.#deps, request.caller, {
      action: "disaster-recovery",
      subject: executionId,
      outcome: how,
      details: { planId: plan.id, status: ended.status },
    });
    await tellEnd(this.#deps, ended, plan);
  }

  async #take(
    execution: Execution,
    { step, turn, blank, signal }: {
      step: RecoveryStep;
      turn: Turn;
      blank: StepRecord;
      signal: AbortSignal;
    },
  ): Promise<PartOutcome> {
    const { clock } = this.#deps;
    const context = this.#contextOf(execution, { step, signal });
    const came = await runTurn(this.#kinds[step.type], { context, turn, clock });
    if (came.state === "again") {
      const { jobId = null } = came.turn.waiting ?? {};
      if (jobId !== null && jobId !== turn.waiting?.jobId) {
        const waits = { status: "waiting" as const, found: came.turn.waiting!.found };
        await this.#record(withStep(execution, recordOf(blank, came.turn, waits)));
      }
      return { result: null, again: { afterMs: came.afterMs, payload: toJson(came.turn) } };
    }
    if (came.state === "failed") await this.#giveUp(came.turn);
    const record = came.state === "failed"
      ? recordOf(blank, came.turn, { status: "failed", error: came.error })
      : recordOf(blank, came.turn, wordsOf(came.end));
    return await this.#ended(execution, finished(record, clock.now()), turn.at);
  }

  #contextOf(
    execution: Execution,
    { step, signal }: { step: RecoveryStep; signal: AbortSignal },
  ): StepContext {
    const { executionId, planId, trigger, mode, force, rotate } = execution;
    return {
      ...{ deps: this.#deps, caller: this.#asked.request.caller, step, signal },
      execution: { executionId, planId, trigger, mode, force, rotate },
      earlier: new Map(execution.steps.flatMap((record) => endsWell(record))),
      idempotencyKey: `${executionId}:${step.id}`,
    };
  }

  /** What has ended, from the parts that are done. */
  async #soFar({ results }: Pick<PartContext, "results">): Promise<Execution> {
    let execution = newExecution(this.#asked);
    for await (const { result } of results(STEP)) {
      execution = withStep(execution, result as unknown as StepRecord);
    }
    return execution;
  }

  async #ended(execution: Execution, record: StepRecord, at: number): Promise<PartOutcome> {
    return await this.#next(execution, await this.#journal.stepEnds(at, record), at);
  }

  async #next(execution: Execution, record: StepRecord, at: number): Promise<PartOutcome> {
    await this.#record(withStep(execution, record));
    const isLast = at + 1 >= this.#steps.length;
    return { result: toJson(record), add: [partOf(at + 1, isLast)] };
  }

  async #conclude(execution: Execution, stopped?: JobError): Promise<Execution> {
    const { plan } = this.#asked;
    const at = this.#deps.clock.now();
    const reason = stopped === undefined ? {} : { stopped };
    const end = await this.#journal.end(endOf(execution, { plan, at, ...reason }));
    return await this.#record({ ...execution, ...end });
  }

  /** Ends an execution that did not come to its end: what it waits for is stopped too. */
  async #stop(execution: Execution, reason: JobError): Promise<Execution> {
    const now = this.#deps.clock.now();
    for (const { status, jobId } of execution.steps) {
      if (status === "waiting" && jobId !== null) await this.#cancelJob(jobId);
    }
    const steps = execution.steps.map((record): StepRecord =>
      record.status === "waiting" || record.status === "running"
        ? finished({ ...record, status: "failed", error: reason }, now)
        : record.status === "pending"
        ? { ...record, status: "not_run", found: "not run: the execution was stopped" }
        : record
    );
    return await this.#conclude({ ...execution, steps }, reason);
  }

  async #reason(how: "completed" | "failed" | "cancelled"): Promise<JobError> {
    const { executionId } = this.#asked;
    const unknown = toJobError(
      how === "cancelled"
        ? cancelledError(executionId)
        : new BackupError("interrupted", "Cannot finish the execution: its workers were lost"),
    );
    const job = await unlessUnavailable(this.#deps, () => getJob(this.#deps, executionId));
    return job?.error ?? unknown;
  }

  /** Nobody waits for the job any more, and what it would do now nobody would check. */
  async #giveUp({ waiting }: Turn): Promise<void> {
    if (waiting !== null) await this.#cancelJob(waiting.jobId);
  }

  async #cancelJob(jobId: string): Promise<void> {
    await unlessUnavailable(this.#deps, () => this.#deps.jobs.cancel(jobId));
  }

  /** As it was last written down. */
  async #known(): Promise<Execution | null> {
    const { executionId } = this.#asked;
    return await unlessUnavailable(
      this.#deps,
      () => this.#deps.state.executions.get(executionId),
    ) ?? this.#deps.recovery.executions.get(executionId)?.execution ?? null;
  }

  async #record(execution: Execution): Promise<Execution> {
    return await recordExecution(this.#deps, { execution, plan: this.#asked.plan });
  }
}

function partOf(at: number, isLast: boolean): NewPart {
  return isLast
    ? { step: at, name: CONCLUDE, payload: null, bytes: 0 }
    : { step: at, name: STEP, payload: toJson(firstTurn(at)), bytes: 0 };
}
