/**
 * The jobs of a service: recorded in its tables, where any worker goes on with them, or in the memory of
 * this process while the tables cannot be used. Knows neither what a job does nor where its row is kept.
 *
 * @module
 */
import { type Clock, startStopwatch } from "../core/clock.ts";
import { type BackupError, toBackupError } from "../core/errors.ts";
import {
  conflictWith,
  excludedKinds,
  isFinished,
  type Job,
  type NewJob,
  newJob,
} from "../core/job.ts";
import type { JobBounds, Json, Lease, NewPart, StartedJob } from "../core/part.ts";
import { cancelledError } from "../core/part_errors.ts";
import type { JobDefinition } from "./job_definition.ts";
import { MemoryPartStore } from "./memory_part_store.ts";
import type { PartStore } from "./part_store.ts";
import { type PartObserver, runWorker } from "./run_worker.ts";

/** A job as its use-case starts it. */
export interface JobStart {
  job: NewJob;
  /** What was asked for: all that any worker needs to make the definition. */
  request: Json;
  first: readonly NewPart[];
  bounds: JobBounds;
  /** Parts at a time, where this process does the job alone. */
  concurrency: number;
  /**
   * It is done here alone also when the tables answer and cannot take it, as those of a damaged database.
   * @default false
   */
  evenIfRefused?: boolean;
}

/** What {@linkcode Jobs} is made of. */
export interface JobsOptions {
  tables: PartStore;
  /** Whether an error says that the tables cannot be used now. */
  isUnavailable: (error: BackupError) => boolean;
  /** What a job is made of. */
  define: (started: StartedJob) => Promise<JobDefinition>;
  /** A job as the tables have it; null when they do not know it. */
  read: (jobId: string) => Promise<Job | null>;
  /** Records the end of a job that ran in memory. */
  record: (job: Job) => Promise<{ recorded: boolean }>;
  /** Parts wait in the tables. */
  wake: () => void;
  clock: Clock;
  /** Keeps the process alive until the promise settles. */
  keepAlive: (work: Promise<unknown>) => void;
  onError: (error: BackupError, about: string) => void;
}

/** Alone, a job has nobody to be handed to: it is tried a few times and then has failed. */
const ATTEMPTS_ALONE = 3;

/** Between looks at a job that other processes may be at. */
const LOOK_MS = 1000;

/** How long a waiting caller also waits for a finished job's last words, such as the audit log's. */
const LAST_WORDS_MS = 3000;

/** See the module. One per process. */
export class Jobs {
  /** Sees the parts that this process does, of all jobs. */
  readonly observer: PartObserver;
  readonly #options: JobsOptions;
  readonly #memory = new MemoryPartStore();
  readonly #definitions = new Map<string, Promise<JobDefinition>>();
  readonly #running = new Map<AbortController, Lease>();
  readonly #alone = new Set<Promise<void>>();
  #changed = Promise.withResolvers<void>();

  constructor(options: JobsOptions) {
    this.#options = options;
    const byLease = new Map<Lease, AbortController>();
    this.observer = {
      started: (lease, abort) => {
        byLease.set(lease, abort);
        this.#running.set(abort, lease);
      },
      ended: (lease) => {
        this.#running.delete(byLease.get(lease)!);
        byLease.delete(lease);
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      },
    };
  }

  /**
   * Records the job and lets work on it begin; returns at once.
   *
   * @throws `conflict` when a job runs that this one cannot run beside
   */
  async start(options: JobStart): Promise<Job> {
    const { job: start, request, first, bounds, concurrency, evenIfRefused = false } = options;
    const { tables, isUnavailable, clock, wake, keepAlive } = this.#options;
    const other = this.#memory.all().find((running) =>
      !isFinished(running) && running.type === start.type &&
      excludedKinds(start.kind).includes(running.kind)
    );
    if (other !== undefined) throw conflictWith(other);
    const job = newJob(start, clock.now());
    try {
      await tables.begin(job, { parts: first, bounds, request });
      job.recorded = true;
      wake();
      return job;
    } catch (error) {
      const failure = toBackupError(error);
      // The job in the way may be one that all workers have left.
      if (failure.code === "conflict") wake();
      const isDamaged = evenIfRefused && failure.code === "database_error";
      if (!isUnavailable(failure) && !isDamaged) throw error;
    }
    const alone = { ...bounds, maxWorkers: 1, maxAttempts: ATTEMPTS_ALONE };
    await this.#memory.begin(job, { parts: first, bounds: alone, request });
    const work = this.#runAlone(job, concurrency).finally(() => this.#alone.delete(work));
    this.#alone.add(work);
    keepAlive(work);
    return job;
  }

  /** What a job is made of, kept for its next part. @throws `not_found` through `define` */
  definitionOf(jobId: string): Promise<JobDefinition> {
    let definition = this.#definitions.get(jobId);
    if (definition === undefined) {
      definition = this.#define(jobId);
      definition.catch(() => this.#definitions.delete(jobId));
      this.#definitions.set(jobId, definition);
    }
    return definition;
  }

  /** A job that is, or lately was, in the memory of this process. */
  get(jobId: string): Job | undefined {
    return this.#memory.get(jobId);
  }

  /** All of them, newest last. */
  all(): Job[] {
    return this.#memory.all();
  }

  /** Waits for a job's end, at most so long; returns it as it then is. */
  async wait(jobId: string, ms: number): Promise<Job | null> {
    const { clock, read } = this.#options;
    const waitedMs = startStopwatch(clock);
    for (;;) {
      const changed = this.#changed.promise;
      const job = this.get(jobId) ?? await read(jobId);
      const leftMs = ms - waitedMs();
      if (job === null || leftMs <= 0) return job;
      if (isFinished(job)) {
        await this.#waitForLastWords(jobId, Math.min(leftMs, LAST_WORDS_MS));
        return job;
      }
      await this.#pause(changed, Math.min(leftMs, LOOK_MS));
    }
  }

  /** Asks a job to stop; parts that this process does stop at once. */
  async cancel(jobId: string): Promise<void> {
    const store = this.get(jobId) === undefined ? this.#options.tables : this.#memory;
    await store.cancel(jobId);
    for (const [abort, lease] of this.#running) {
      if (lease.jobId === jobId) abort.abort(cancelledError(jobId));
    }
    // With nobody at work what it held waits to be freed.
    this.#options.wake();
  }

  /** Waits until no job runs in memory, for an orderly end of the process. */
  async idle(): Promise<void> {
    await Promise.all(this.#alone);
  }

  async #define(jobId: string): Promise<JobDefinition> {
    const store = this.get(jobId) === undefined ? this.#options.tables : this.#memory;
    const started = await store.find(jobId);
    if (started === null) throw new Error(`job ${jobId} is not in the store that gave its part`);
    const definition = await this.#options.define(started);
    return {
      ...definition,
      end: async (how, context) => {
        await definition.end?.(how, context);
        if (how !== "begins-again") this.#definitions.delete(jobId);
      },
    };
  }

  async #runAlone(job: Job, concurrency: number): Promise<void> {
    const { clock, onError, record } = this.#options;
    const { jobId } = job;
    await runWorker({
      store: this.#memory,
      definitionOf: (id) => this.definitionOf(id),
      ...{ worker: "alone", clock, jobId, concurrency, patienceMs: Infinity, onError },
      onProgress: (lease, progress) => this.#memory.note(lease, progress),
      observer: this.observer,
    });
    try {
      job.recorded = (await record(job)).recorded;
    } catch (error) {
      onError(toBackupError(error), `record of ${jobId}`);
    }
  }

  async #waitForLastWords(jobId: string, ms: number): Promise<void> {
    const { clock, tables } = this.#options;
    const store = this.get(jobId) === undefined ? tables : this.#memory;
    const waitedMs = startStopwatch(clock);
    for (;;) {
      const changed = this.#changed.promise;
      const leftMs = ms - waitedMs();
      if (leftMs <= 0 || await store.find(jobId) === null) return;
      await this.#pause(changed, Math.min(leftMs, LOOK_MS));
    }
  }

  /** Until a part of this process has ended, or so long. */
  async #pause(changed: Promise<void>, ms: number): Promise<void> {
    const patience = new AbortController();
    const slept = this.#options.clock.sleep(ms, patience.signal).catch(() => {}); // aborted below
    await Promise.race([changed, slept]);
    patience.abort();
  }
}
