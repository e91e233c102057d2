/**
 * One worker: takes parts under leases, does them, reports, and stops between parts when its budget is
 * spent. What it does not finish any other worker goes on with.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { type BackupError, toBackupError } from "../core/errors.ts";
import {
  END_PART,
  type JobEnd,
  type Lease,
  type PartFailure,
  type PartOutcome,
  type Reported,
} from "../core/part.ts";
import { cancelledError, leaseLost, lostOnce, otherRelease } from "../core/part_errors.ts";
import type { Budget } from "./budget.ts";
import { classifyFailure, pauseMs } from "./classify_failure.ts";
import type { JobDefinition, PartContext } from "./job_definition.ts";
import type { PartStore, WaitingParts } from "./part_store.ts";

/** How long a part stays with a worker that shows no life. */
export const LEASE_MS = 15_000;

/** Between looks for a part, also when one lies there: it may be for others, as many as may work. */
const SHORTEST_PAUSE_MS = 200;

/** What others hold may be done long before their lease ends. */
const LONGEST_PAUSE_MS = 2000;

/** Reports are tried again for so long: what was done should not have to be done again. */
const REPORT_ATTEMPTS = 6;

/** What {@linkcode runWorker} works with. */
export interface RunWorkerOptions {
  store: PartStore;
  /** What a job is made of; the caller keeps it for the next part of the same job. */
  definitionOf: (jobId: string) => Promise<JobDefinition>;
  /** Name of this worker, unlike all others. */
  worker: string;
  clock: Clock;
  /** Only this job's parts. */
  jobId?: string;
  /** Parts at a time. @default 1 */
  concurrency?: number;
  /** @default no limits */
  budget?: Pick<Budget, "allows" | "enter" | "signal">;
  /** @default {@linkcode LEASE_MS} */
  leaseMs?: number;
  /** How long to wait for a part when there is none now but will be. @default 0 */
  patienceMs?: number;
  /** Takes no further part once it is aborted; with its own reason running parts stop too. */
  signal?: AbortSignal;
  /** Hears of progress at once; the store hears of it with every heartbeat. */
  onProgress?: (lease: Lease, progress: { bytesDone?: number; phase?: string }) => void;
  /** Sees parts begin and end, and may stop them. */
  observer?: PartObserver;
  /** Told of defects, and of failures to record or to free. */
  onError?: (error: BackupError, about: string) => void;
}

/** Sees the parts of a worker. */
export interface PartObserver {
  started(lease: Lease, abort: AbortController): void;
  /** What came of it is recorded, or could not be. */
  ended(lease: Lease): void;
}

/** How a worker's run ended. */
export interface WorkerReport {
  partsDone: number;
  /** `idle`: nothing to take now; `budget`: there was, and it did not fit; `stopped`: by the signal. */
  stoppedBy: "idle" | "budget" | "stopped";
  /** Parts that are not done, of any worker, and when the first may be taken; null when there is none. */
  waiting: WaitingParts;
}

/** Works until nothing is left to take. @throws what the store throws when parts are claimed */
export async function runWorker(options: RunWorkerOptions): Promise<WorkerReport> {
  return await new Worker(options).run();
}

interface RunningPart {
  lease: Lease;
  abort: AbortController;
  done: Promise<void>;
}

class Worker {
  readonly #options: RunWorkerOptions;
  readonly #leaseMs: number;
  readonly #running = new Set<RunningPart>();
  readonly #used = new Set<JobDefinition>();
  #partsDone = 0;

  constructor(options: RunWorkerOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
  }

  async run(): Promise<WorkerReport> {
    const { budget, signal } = this.#options;
    const stop = () => this.#stopAll(budget?.signal.reason ?? signal?.reason);
    budget?.signal.addEventListener("abort", stop, { once: true });
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const stoppedBy = await this.#takeParts();
      const { store, jobId } = this.#options;
      const waiting = await store.waiting(jobId === undefined ? {} : { jobId });
      return { partsDone: this.#partsDone, stoppedBy, waiting };
    } finally {
      await Promise.all([...this.#running].map(({ done }) => done));
      await Promise.all([...this.#used].map((definition) => definition.leave?.()));
      budget?.signal.removeEventListener("abort", stop);
      signal?.removeEventListener("abort", stop);
    }
  }

  async #takeParts(): Promise<WorkerReport["stoppedBy"]> {
    const { concurrency = 1 } = this.#options;
    for (;;) {
      const lease = this.#isStopped() || this.#running.size >= concurrency
        ? null
        : await this.#claim();
      if (lease !== null && lease !== "no room") {
        this.#start(lease);
        continue;
      }
      if (this.#running.size > 0) {
        await Promise.race([...this.#running].map(({ done }) => done));
        continue;
      }
      if (this.#isStopped()) return this.#options.signal?.aborted ? "stopped" : "budget";
      if (lease === "no room") return "budget";
      if (!await this.#waitForParts()) return this.#isStopped() ? "budget" : "idle";
    }
  }

  #isStopped(): boolean {
    return this.#options.signal?.aborted === true || this.#options.budget?.signal.aborted === true;
  }

  /** The next part. Its size is known only when it is taken, so one that does not fit is given back. */
  async #claim(): Promise<Lease | null | "no room"> {
    const { store, worker, jobId, budget } = this.#options;
    if (budget?.allows({ bytes: 0 }) === false) return "no room";
    const lease = await store.claim({
      worker,
      leaseMs: this.#leaseMs,
      ...(jobId === undefined ? {} : { jobId }),
    });
    if (lease === null || budget === undefined || budget.allows(lease)) return lease;
    await store.release(lease);
    return "no room";
  }

  /** Waits for the first part that may be taken, as long as patience lasts. */
  async #waitForParts(): Promise<boolean> {
    const { store, jobId, clock, signal, patienceMs = 0 } = this.#options;
    if (patienceMs === 0) return false;
    const { nextInMs } = await store.waiting(jobId === undefined ? {} : { jobId });
    if (nextInMs === null || nextInMs > patienceMs) return false;
    const pauseMs = Math.min(Math.max(nextInMs, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
    await clock.sleep(pauseMs, signal).catch(() => {}); // stopped
    return !this.#isStopped();
  }

  #start(lease: Lease): void {
    const abort = new AbortController();
    const part: RunningPart = { lease, abort, done: Promise.resolve() };
    this.#options.observer?.started(lease, abort);
    part.done = this.#do(part).finally(() => {
      this.#running.delete(part);
      this.#options.observer?.ended(lease);
    });
    this.#running.add(part);
  }

  async #do({ lease, abort }: RunningPart): Promise<void> {
    using _ = this.#options.budget?.enter({ bytes: lease.bytes });
    const beating = new AbortController();
    const live: { bytesDone?: number; phase?: string } = {};
    const heart = this.#beat(lease, { abort, live, signal: beating.signal });
    let report: () => Promise<Reported>;
    try {
      const outcome = await this.#runPart(lease, { abort, live });
      report = () => this.#options.store.complete(lease, outcome);
      if (outcome.again === undefined) this.#partsDone += 1;
    } catch (thrown) {
      report = this.#afterFailure(lease, { thrown, signal: abort.signal });
    }
    try {
      await this.#report(report);
    } catch (error) {
      // The lease runs out, and somebody does the part again.
      this.#options.onError?.(toBackupError(error), `part ${lease.name} of ${lease.jobId}`);
    } finally {
      beating.abort();
      await heart;
    }
  }

  async #runPart(
    lease: Lease,
    { abort, live }: { abort: AbortController; live: { bytesDone?: number; phase?: string } },
  ): Promise<PartOutcome> {
    const { store, definitionOf, onProgress } = this.#options;
    if (lease.begunBy !== undefined && lease.name !== END_PART) {
      throw otherRelease(lease.jobId, lease.begunBy);
    }
    const definition = await definitionOf(lease.jobId);
    this.#used.add(definition);
    const context: PartContext = {
      signal: abort.signal,
      onProgress: (progress) => {
        Object.assign(live, progress);
        onProgress?.(lease, progress);
      },
      results: (name, numbers) => store.results({ ...lease, ...numbers }, name),
    };
    if (lease.name !== END_PART) {
      if (lease.attempt > 1 && isOnce(definition, lease)) throw lostOnce(lease.name);
      return await definition.run(lease, context);
    }
    await definition.end?.(lease.payload as JobEnd, context);
    return { result: null };
  }

  /** What to tell the store about a part that did not end well. */
  #afterFailure(
    lease: Lease,
    { thrown, signal }: { thrown: unknown; signal: AbortSignal },
  ): () => Promise<Reported> {
    const { store, onError, budget } = this.#options;
    const stopped = signal.aborted ? toBackupError(signal.reason) : null;
    // What ends every worker must not be tried for ever: this counts as a lost worker does.
    if (stopped?.code === "interrupted" && signal.reason === budget?.signal.reason) {
      return () => store.fail(lease, { kind: "retry", error: stopped, afterMs: 0 });
    }
    if (stopped !== null && stopped.code !== "cancelled") {
      return async () => {
        await store.release(lease);
        return "recorded";
      };
    }
    const error = stopped ?? toBackupError(thrown);
    if (error.code === "internal" || lease.name === END_PART) {
      onError?.(error, `part ${lease.name} of ${lease.jobId}`);
    }
    return async () => {
      const failure = await this.#classify(lease, error);
      const reported = await store.fail(lease, failure);
      if (failure.kind !== "retry") this.#stopSiblings(lease);
      return reported;
    };
  }

  async #classify(lease: Lease, error: BackupError): Promise<PartFailure> {
    if (lease.name === END_PART) {
      return { kind: "retry", error, afterMs: pauseMs(lease.attempt) };
    }
    const failure = classifyFailure(error, lease);
    const isOthers = error.code === "other_release";
    if (failure.kind === "final" && !isOthers) return failure;
    const definition = await this.#options.definitionOf(lease.jobId).catch(() => null);
    if (isOthers) {
      const first = definition?.beginsAnew === true ? definition.first() : null;
      return first === null ? failure : { kind: "begin-again", error, first };
    }
    return definition !== null && isOnce(definition, lease) ? { kind: "final", error } : failure;
  }

  /** Reports, again and again while the store cannot be reached. */
  async #report(report: () => Promise<Reported>): Promise<void> {
    for (let attempt = 1;; attempt++) {
      try {
        await report();
        return;
      } catch (error) {
        const { code } = toBackupError(error);
        if (code !== "database_unreachable" || attempt === REPORT_ATTEMPTS) throw error;
        await this.#options.clock.sleep(pauseMs(attempt));
      }
    }
  }

  /** Parts of a job or round that is over: nobody needs what they would give. */
  #stopSiblings(lease: Lease): void {
    for (const { lease: other, abort } of this.#running) {
      if (other.jobId === lease.jobId && other.round === lease.round && other.part !== lease.part) {
        abort.abort(leaseLost(other.name));
      }
    }
  }

  #stopAll(reason: unknown): void {
    for (const { abort } of this.#running) abort.abort(reason);
  }

  async #beat(
    lease: Lease,
    { abort, live, signal }: {
      abort: AbortController;
      live: { bytesDone?: number; phase?: string };
      signal: AbortSignal;
    },
  ): Promise<void> {
    const { clock, store } = this.#options;
    const leaseMs = this.#leaseMs;
    for (;;) {
      try {
        await clock.sleep(leaseMs / 3, signal);
      } catch {
        return; // the part has ended
      }
      try {
        const { lost, cancel } = await store.renew(lease, { leaseMs, ...live });
        if (cancel) abort.abort(cancelledError(lease.jobId));
        else if (lost) return abort.abort(leaseLost(lease.name));
      } catch (error) {
        // The lease lasts a while yet; when it is over, the report will be refused.
        this.#options.onError?.(toBackupError(error), `heartbeat of ${lease.jobId}`);
      }
    }
  }
}

function isOnce(definition: JobDefinition, { name }: Lease): boolean {
  return definition.once?.includes(name) === true;
}
