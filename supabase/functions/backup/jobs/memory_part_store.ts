/**
 * Parts in the memory of one process: for programs without the service's tables. It is one class beyond
 * the usual length, because each method is one rule of the contract over the same small state.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import {
  conflictWith,
  excludedKinds,
  isFinished,
  type Job,
  outcomeFields,
  toJobError,
} from "../core/job.ts";
import {
  type DonePart,
  END_PART,
  END_STEP,
  type JobBounds,
  type JobEnd,
  type Json,
  type Lease,
  type NewPart,
  type PartFailure,
  type PartOutcome,
  type PartsOf,
  type Reported,
  type StartedJob,
  withPayload,
} from "../core/part.ts";
import { type PackedJson, packJson, unpackJson } from "../core/packed_json.ts";
import { cancelledError, lostTooOften, nothingLeft } from "../core/part_errors.ts";
import { type Progress, progressOf } from "../core/progress.ts";
import type { PartStore, WaitingParts } from "./part_store.ts";

/** Finished jobs that are remembered, so that a process without tables can still answer for them. */
const REMEMBERED = 50;

/** Tries of an end part: what it frees is found otherwise in time. */
const END_ATTEMPTS = 5;

interface HeldPart extends Omit<NewPart, "payload"> {
  payload: PackedJson;
  number: number;
  round: number;
  state: "waiting" | "done" | "dropped";
  attempt: number;
  previous: Lease["previous"];
  lease: { token: string; untilMs: number; worker: string } | null;
  notBeforeMs: number;
  result: PackedJson;
  bytesDone: number;
}

interface HeldJob {
  job: Job;
  request: Json;
  bounds: JobBounds;
  first: readonly NewPart[];
  round: number;
  cancel: boolean;
  parts: Map<number, HeldPart>;
  nextNumber: number;
  /** As it was thrown, for callers of the same process. */
  failure: BackupError | null;
  counts: { parts: number; done: number; bytes: number; bytesDone: number };
  phase: string;
  movingSinceMs: number | null;
}

function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}

/** What a memory store may be given. */
export interface MemoryPartStoreOptions {
  /**
   * Milliseconds of the clock that leases and pauses go by. @default the process's, as it was at its
   * start: a clock that is set meanwhile must not end a lease or make a pause of hours
   */
  nowMs?: () => number;
  /** Hears of every change of a job's progress. */
  onProgress?: (jobId: string, progress: Progress) => void;
}

/** See the module. */
export class MemoryPartStore implements PartStore {
  readonly #nowMs: () => number;
  readonly #onProgress: (jobId: string, progress: Progress) => void;
  readonly #jobs = new Map<string, HeldJob>();
  #lastToken = 0;

  constructor({ nowMs = steadyNow, onProgress = () => {} }: MemoryPartStoreOptions = {}) {
    this.#nowMs = nowMs;
    this.#onProgress = onProgress;
  }

  begin(
    job: Job,
    { parts, bounds, request }: { parts: readonly NewPart[]; bounds: JobBounds; request: Json },
  ): Promise<void> {
    const other = this.all().find((running) =>
      !isFinished(running) && running.type === job.type &&
      excludedKinds(job.kind).includes(running.kind)
    );
    if (other !== undefined) return Promise.reject(conflictWith(other));
    const held: HeldJob = {
      ...{ job, request, bounds, first: parts, round: 1, cancel: false, parts: new Map() },
      ...{ nextNumber: 1, failure: null, phase: "waiting", movingSinceMs: null },
      counts: { parts: 0, done: 0, bytes: 0, bytesDone: 0 },
    };
    this.#jobs.set(job.jobId, held);
    for (const part of parts) this.#add(held, part);
    this.#forgetOld();
    return Promise.resolve();
  }

  find(jobId: string): Promise<StartedJob | null> {
    const held = this.#jobs.get(jobId);
    if (held === undefined || held.parts.size === 0) return Promise.resolve(null);
    return Promise.resolve({ job: held.job, request: held.request });
  }

  /** A job, running or lately finished. */
  get(jobId: string): Job | undefined {
    return this.#jobs.get(jobId)?.job;
  }

  /** All of them, newest last. */
  all(): Job[] {
    return [...this.#jobs.values()].map(({ job }) => job);
  }

  /** What made a job fail, as it was thrown. */
  failureOf(jobId: string): BackupError | null {
    return this.#jobs.get(jobId)?.failure ?? null;
  }

  claim({ worker, leaseMs, jobId }: {
    worker: string;
    leaseMs: number;
    jobId?: string;
  }): Promise<Lease | null> {
    for (const held of this.#chosen(jobId)) {
      this.#sweep(held);
      const part = this.#candidates(held, worker)
        .find((each) => this.#freeInMs(each) === 0);
      if (part === undefined) continue;
      if (part.lease !== null) part.previous = "interrupted";
      part.attempt += 1;
      part.bytesDone = 0;
      const token = String(++this.#lastToken);
      const untilMs = this.#nowMs() + leaseMs;
      part.lease = { token, untilMs, worker };
      if (part.name !== END_PART) held.phase = part.name.replaceAll("-", " ");
      if (part.bytes > 0) held.movingSinceMs ??= this.#nowMs();
      this.#tell(held);
      const { step, name, bytes, number, round, attempt, previous } = part;
      const payload = unpackJson(part.payload);
      const until = new Date(untilMs).toISOString();
      const id = { jobId: held.job.jobId, part: number, round, attempt, previous, token, until };
      return Promise.resolve({ step, name, payload, bytes, ...id });
    }
    return Promise.resolve(null);
  }

  renew(
    lease: Lease,
    { leaseMs, ...progress }: { leaseMs: number; bytesDone?: number; phase?: string },
  ): Promise<{ lost: boolean; cancel: boolean }> {
    const { held, part } = this.#held(lease);
    if (held === undefined || part === undefined) {
      return Promise.resolve({ lost: true, cancel: held?.cancel === true });
    }
    part.lease!.untilMs = this.#nowMs() + leaseMs;
    this.note(lease, progress);
    const wanted = this.#isWanted(held, part);
    return Promise.resolve({ lost: !wanted, cancel: held.cancel });
  }

  /** Keeps the progress of a part without waiting for its lease to be renewed. */
  note(lease: Lease, { bytesDone, phase }: { bytesDone?: number; phase?: string }): void {
    const { held, part } = this.#held(lease);
    if (held === undefined || part === undefined || !this.#isWanted(held, part)) return;
    if (bytesDone !== undefined) {
      held.counts.bytesDone += bytesDone - part.bytesDone;
      part.bytesDone = bytesDone;
    }
    if (phase !== undefined) held.phase = phase;
    this.#tell(held);
  }

  complete(lease: Lease, outcome: PartOutcome): Promise<Reported> {
    const { held, part } = this.#held(lease);
    if (held === undefined || part === undefined) return Promise.resolve("lost");
    part.lease = null;
    if (part.name === END_PART) return this.#ended(held, part);
    const refused = !this.#isWanted(held, part) || (held.cancel && outcome.finish === undefined);
    if (refused) {
      this.#sweep(held);
      return Promise.resolve("lost");
    }
    if (outcome.again !== undefined) {
      const { afterMs, payload, forGood = false } = outcome.again;
      if (forGood) held.first = withPayload(held.first, { ...part, payload });
      held.counts.bytesDone -= part.bytesDone;
      const notBeforeMs = this.#nowMs() + afterMs;
      part.payload = packJson(payload);
      Object.assign(part, { attempt: 0, previous: null, bytesDone: 0, notBeforeMs });
      return Promise.resolve("recorded");
    }
    this.#markDone(held, part, outcome);
    for (const added of [...(outcome.split ?? []), ...(outcome.add ?? [])]) this.#add(held, added);
    if (outcome.finish !== undefined) {
      Object.assign(held.job, outcomeFields(outcome.finish));
      this.#end(held, "completed", null);
    } else if (!this.#waiting(held).some(({ round }) => round === held.round)) {
      this.#end(held, "failed", nothingLeft(held.job.jobId));
    }
    this.#tell(held);
    return Promise.resolve("recorded");
  }

  fail(lease: Lease, failure: PartFailure): Promise<Reported> {
    const { held, part } = this.#held(lease);
    if (held === undefined || part === undefined) return Promise.resolve("lost");
    const { bounds, counts } = held;
    part.lease = null;
    part.previous = failure.error.code;
    counts.bytesDone -= part.bytesDone;
    part.bytesDone = 0;
    if (part.name === END_PART) {
      if (part.attempt >= END_ATTEMPTS) return this.#ended(held, part);
      part.notBeforeMs = this.#nowMs() + (failure.kind === "retry" ? failure.afterMs : 1000);
      return Promise.resolve("recorded");
    }
    if (!this.#isWanted(held, part)) return Promise.resolve("lost");
    if (held.cancel) {
      this.#sweep(held);
    } else if (failure.kind === "retry" && part.attempt < bounds.maxAttempts) {
      part.notBeforeMs = this.#nowMs() + failure.afterMs;
    } else if (failure.kind === "begin-again" && held.round < bounds.maxRounds) {
      held.first = failure.first ?? held.first;
      this.#beginAgain(held);
    } else {
      const status = failure.error.code === "cancelled" ? "cancelled" : "failed";
      this.#end(held, status, failure.error);
    }
    this.#tell(held);
    return Promise.resolve("recorded");
  }

  release(lease: Lease): Promise<void> {
    const { held, part } = this.#held(lease);
    if (held === undefined || part === undefined) return Promise.resolve();
    held.counts.bytesDone -= part.bytesDone;
    Object.assign(part, { lease: null, bytesDone: 0, attempt: part.attempt - 1 });
    this.#sweep(held);
    return Promise.resolve();
  }

  async *results(
    { jobId, round, behind = 0, before = Infinity }: PartsOf,
    name: string,
  ): AsyncIterable<DonePart> {
    for (const part of this.#jobs.get(jobId)?.parts.values() ?? []) {
      if (part.number <= behind || part.number >= before) continue;
      if (part.state !== "done" || part.round !== round || part.name !== name) continue;
      const { number, step } = part;
      await Promise.resolve();
      const [payload, result] = [unpackJson(part.payload), unpackJson(part.result)];
      yield { part: number, step, name, payload, result };
    }
  }

  cancel(jobId: string): Promise<void> {
    const held = this.#jobs.get(jobId);
    if (held !== undefined && !isFinished(held.job)) {
      held.cancel = true;
      this.#sweep(held);
    }
    return Promise.resolve();
  }

  progress(jobId: string): Promise<Progress | null> {
    const held = this.#jobs.get(jobId);
    return Promise.resolve(held === undefined ? null : this.#progressOf(held));
  }

  waiting({ jobId }: { jobId?: string } = {}): Promise<WaitingParts> {
    let parts = 0;
    const workers = new Set<string>();
    let nextInMs: number | null = null;
    for (const held of this.#chosen(jobId)) {
      this.#sweep(held);
      parts += this.#waiting(held).length;
      for (const part of held.parts.values()) {
        if (this.#isLive(part)) workers.add(part.lease!.worker);
      }
      for (const part of this.#candidates(held, null)) {
        nextInMs = Math.min(nextInMs ?? Infinity, this.#freeInMs(part));
      }
    }
    return Promise.resolve({ parts, nextInMs, workers: workers.size });
  }

  #chosen(jobId: string | undefined): HeldJob[] {
    if (jobId === undefined) {
      const priority = ({ bounds }: HeldJob) => bounds.priority ?? 0;
      return [...this.#jobs.values()].sort((a, b) => priority(b) - priority(a));
    }
    const held = this.#jobs.get(jobId);
    return held === undefined ? [] : [held];
  }

  /** The part that a lease is of, if it is still the holder's. */
  #held(lease: Lease): { held?: HeldJob; part?: HeldPart } {
    const held = this.#jobs.get(lease.jobId);
    const part = held?.parts.get(lease.part);
    if (held === undefined) return {};
    return part?.lease?.token === lease.token ? { held, part } : { held };
  }

  /** Whether what the part does still counts. */
  #isWanted(held: HeldJob, part: HeldPart): boolean {
    if (part.name === END_PART) return true;
    return part.state === "waiting" && part.round === held.round && !isFinished(held.job);
  }

  #waiting(held: HeldJob): HeldPart[] {
    return [...held.parts.values()].filter(({ state }) => state === "waiting");
  }

  /** Parts that could be taken now or later without anything else being done. */
  #candidates(held: HeldJob, worker: string | null): HeldPart[] {
    const waiting = this.#waiting(held);
    const live = [...held.parts.values()].filter((part) => this.#isLive(part));
    // What a round held is freed when nobody works with it any more.
    const ends = waiting.filter((end) =>
      end.name === END_PART && !live.some((part) => part.round === end.round && part !== end)
    );
    if (isFinished(held.job) || held.cancel) return ends;
    const others = new Set(
      live.map((part) => part.lease!.worker).filter((name) => name !== worker),
    );
    if (worker !== null && others.size >= held.bounds.maxWorkers) return ends;
    const work = waiting.filter((part) => part.name !== END_PART);
    const step = Math.min(...work.map((part) => part.step));
    return [...ends, ...work.filter((part) => part.step === step)];
  }

  #isLive(part: HeldPart): boolean {
    return part.lease !== null && part.lease.untilMs > this.#nowMs();
  }

  #freeInMs(part: HeldPart): number {
    return Math.max(
      0,
      part.notBeforeMs - this.#nowMs(),
      (part.lease?.untilMs ?? 0) - this.#nowMs(),
    );
  }

  /** Draws the conclusions of leases that have ended and of a wish to cancel. */
  #sweep(held: HeldJob): void {
    for (const part of this.#waiting(held)) {
      if (part.lease === null || this.#isLive(part)) continue;
      const most = part.name === END_PART ? END_ATTEMPTS : held.bounds.maxAttempts;
      if (part.attempt < most) continue;
      if (part.name === END_PART) this.#ended(held, part);
      else if (!isFinished(held.job)) {
        this.#end(held, "failed", lostTooOften(part.name, part.attempt));
      }
    }
    const idle = ![...held.parts.values()].some((part) =>
      part.name !== END_PART && this.#isLive(part)
    );
    if (held.cancel && idle && !isFinished(held.job)) {
      this.#end(held, "cancelled", cancelledError(held.job.jobId));
    }
  }

  #add(held: HeldJob, part: NewPart): void {
    const number = held.nextNumber++;
    held.parts.set(number, {
      ...{ ...part, number, round: held.round, state: "waiting", attempt: 0, previous: null },
      ...{ lease: null, notBeforeMs: 0, bytesDone: 0 },
      ...{ payload: packJson(part.payload), result: packJson(null) },
    });
    if (part.name === END_PART) return;
    held.counts.parts += 1;
    held.counts.bytes += part.bytes;
  }

  #markDone(held: HeldJob, part: HeldPart, outcome: PartOutcome): void {
    const { counts } = held;
    const moved = outcome.split === undefined ? outcome.bytes ?? part.bytes : 0;
    counts.bytesDone += moved - part.bytesDone;
    if (outcome.split === undefined) {
      part.state = "done";
      part.result = packJson(outcome.result);
      counts.done += 1;
      counts.bytes += moved - part.bytes; // an estimate that has become a fact
    } else {
      held.parts.delete(part.number);
      counts.parts -= 1;
      counts.bytes -= part.bytes;
    }
  }

  #beginAgain(held: HeldJob): void {
    this.#giveUp(held, "begins-again");
    held.round += 1;
    held.counts = { parts: 0, done: 0, bytes: 0, bytesDone: 0 };
    held.movingSinceMs = null;
    for (const part of held.first) this.#add(held, part);
  }

  #end(held: HeldJob, status: "completed" | "failed" | "cancelled", error: BackupError | null) {
    held.failure = error;
    Object.assign(held.job, {
      status,
      completedAt: new Date(this.#nowMs()).toISOString(),
      error: error === null ? null : toJobError(error),
    });
    this.#giveUp(held, status);
  }

  /** Nothing of the round is wanted any more, except that its end be seen to. */
  #giveUp(held: HeldJob, how: JobEnd): void {
    for (const part of this.#waiting(held)) {
      if (part.name === END_PART) continue;
      if (this.#isLive(part)) part.state = "dropped";
      else held.parts.delete(part.number);
    }
    this.#add(held, { step: END_STEP, name: END_PART, payload: how, bytes: 0 });
  }

  /** What the round has left in the store is of no use any more. */
  #ended(held: HeldJob, end: HeldPart): Promise<Reported> {
    for (const part of held.parts.values()) {
      if (part.round === end.round) held.parts.delete(part.number);
    }
    return Promise.resolve("recorded");
  }

  #progressOf({ counts, phase, movingSinceMs }: HeldJob): Progress {
    const seconds = movingSinceMs === null ? 0 : (this.#nowMs() - movingSinceMs) / 1000;
    return progressOf({ ...counts, partsDone: counts.done, phase, seconds });
  }

  #tell(held: HeldJob): void {
    held.job.progress = this.#progressOf(held);
    this.#onProgress(held.job.jobId, held.job.progress);
  }

  #forgetOld(): void {
    const finished = [...this.#jobs.values()].filter(({ job, parts }) =>
      isFinished(job) && parts.size === 0
    );
    for (const { job } of finished.slice(0, Math.max(0, finished.length - REMEMBERED))) {
      this.#jobs.delete(job.jobId);
    }
  }
}
