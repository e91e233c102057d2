/**
 * One turn of a step: a try of it, or a look at the job that it waits for.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError, type ErrorCode, toBackupError } from "../core/errors.ts";
import { isFinished, type Job, type JobError, type JobKind, toJobError } from "../core/job.ts";
import { fromJobError } from "../core/job.ts";
import { getJob } from "../usecases/jobs/get_job.ts";
import { goOn } from "../usecases/jobs/go_on.ts";
import type { StepContext, StepEnd, StepKind, StepOutcome } from "./step.ts";
import { within } from "./within.ts";

/** How far a step is; what its part of the job carries from turn to turn. Survives JSON. */
export type Turn = {
  /** Place in the order of the run. */
  at: number;
  /** When the step began, and its present try; null before. ISO 8601 in UTC. */
  startedAt: string | null;
  triedAt: string | null;
  /** Tries that have failed. */
  failures: number;
  /** Turns of the present try. */
  turns: number;
  /** What stood in the way of the present try, in words. */
  inTheWay: string | null;
  /** The job that is waited for. */
  waiting: { jobId: string; kind: JobKind; found: string } | null;
};

/** The first turn of a step. */
export function firstTurn(at: number): Turn {
  return {
    ...{ at, startedAt: null, triedAt: null, failures: 0, turns: 0 },
    ...{ inTheWay: null, waiting: null },
  };
}

/** What a turn has come to. */
export type TurnEnd =
  | { state: "ended"; end: StepEnd; turn: Turn }
  | { state: "failed"; error: JobError; turn: Turn }
  /** There is another turn, after a pause. */
  | { state: "again"; turn: Turn; afterMs: number };

/** Between looks at a job, and between tries. */
const SHORTEST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;
const RETRY_PAUSE_MS = 2000;

/** Something else is at work, such as a backup that runs: no fault of the step, and over in a while. */
const IN_THE_WAY: readonly ErrorCode[] = ["conflict", "lock_timeout"];

/**
 * Takes one turn.
 *
 * @throws the signal's reason when the worker must stop
 */
export async function runTurn(
  kind: StepKind,
  { context, turn: before, clock }: { context: StepContext; turn: Turn; clock: Clock },
): Promise<TurnEnd> {
  const now = clock.now().toISOString();
  const turn: Turn = {
    ...before,
    startedAt: before.startedAt ?? now,
    triedAt: before.triedAt ?? now,
    turns: before.turns + 1,
  };
  const leftMs = Date.parse(turn.triedAt!) + context.step.timeout * 60_000 - Date.parse(now);
  try {
    if (leftMs <= 0) throw tooLong(context, turn);
    const outcome = await within(
      { clock, ms: leftMs, signal: context.signal, error: () => tooLong(context, turn) },
      (signal) => work(kind, { ...context, signal }, turn),
    );
    if (outcome === "goes on") return { state: "again", turn, afterMs: pauseAfter(turn.turns) };
    if (outcome.state !== "waiting") return { state: "ended", end: outcome, turn };
    const { jobId, kind: jobKind, found } = outcome;
    const next = { ...turn, turns: 0, waiting: { jobId, kind: jobKind, found } };
    return { state: "again", turn: next, afterMs: pauseAfter(0) };
  } catch (thrown) {
    if (context.signal.aborted) throw context.signal.reason;
    const error = toBackupError(thrown);
    if (error.code === "internal") context.deps.reportError(error, `step ${context.step.id}`);
    return afterFailure(error, context, turn);
  }
}

async function work(
  kind: StepKind,
  context: StepContext,
  { waiting }: Turn,
): Promise<StepOutcome | "goes on"> {
  if (waiting === null) return await kind.run(context);
  const job = await getJob(context.deps, waiting.jobId, waiting.kind);
  if (!isFinished(job)) {
    goOn(context.deps, [job]);
    return "goes on";
  }
  return kind.conclude === undefined ? concludeByJob(job) : await kind.conclude(context, job.jobId);
}

/** For steps that have nothing of their own to say about the job. */
function concludeByJob(job: Job): StepEnd {
  const { jobId, kind, status, error } = job;
  if (status === "completed") {
    return { state: "done", found: `${kind} ${jobId} is done`, details: { jobId }, byHand: [] };
  }
  throw error === null
    ? new BackupError("cancelled", `Cannot finish the step: the job ${jobId} is ${status}`)
    : fromJobError(error);
}

function afterFailure(error: BackupError, { step }: StepContext, turn: Turn): TurnEnd {
  const isLate = error.code === "step_timeout";
  if (IN_THE_WAY.includes(error.code)) {
    const next = { ...turn, inTheWay: error.message };
    return { state: "again", turn: next, afterMs: pauseAfter(turn.turns) };
  }
  const failures = turn.failures + 1;
  if (failures > step.retryCount) {
    return { state: "failed", error: toJobError(error), turn: { ...turn, failures } };
  }
  // A job that only lasts too long is waited for again: it would be found again anyway.
  const waiting = isLate ? turn.waiting : null;
  const next = { ...turn, failures, triedAt: null, turns: 0, inTheWay: null, waiting };
  const afterMs = Math.min(LONGEST_PAUSE_MS, RETRY_PAUSE_MS * 2 ** (failures - 1));
  return { state: "again", turn: next, afterMs };
}

function pauseAfter(turns: number): number {
  return Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** Math.min(turns, 10));
}

function tooLong({ step }: StepContext, { inTheWay }: Turn): BackupError {
  return new BackupError(
    "step_timeout",
    `Cannot finish ${step.name}: it took more than ${step.timeout} minutes` +
      (inTheWay === null ? "" : `; this was in its way: ${inTheWay}`),
    { hint: "The step's timeout says how long each try may take." },
  );
}
