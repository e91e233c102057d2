/**
 * Runs jobs in the background of one worker: starts them, beats their heart, keeps their progress, ends
 * them in one of three ways. Knows neither what a job does nor where its row is kept.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import { isFinished, type Job, type JobError } from "../core/job.ts";
import type { Progress, ProgressListener } from "../core/progress.ts";

/** Where jobs are recorded. A store that cannot be reached answers so; it does not stop the work. */
export interface JobStore {
  /** Records a new running job. `recorded` is false when there is no place for it now. @throws `conflict` */
  begin(job: Job): Promise<{ recorded: boolean }>;
  /** Records progress and that the worker lives; says whether someone asked to stop. */
  beat(job: Job): Promise<{ cancelRequested: boolean }>;
  /** Records the end. `recorded` as in begin. */
  finish(job: Job): Promise<{ recorded: boolean }>;
}

/** What a job's work is given. */
export interface JobContext {
  job: Job;
  signal: AbortSignal;
  onProgress: ProgressListener;
}

/** What a job's work gives back. */
export interface JobOutcome {
  result: Record<string, unknown>;
  sizeBytes?: number;
  checksum?: string;
  location?: string;
  /** For a restore: which backup `latest` turned out to be. */
  backupId?: string;
}

/** A job to start. */
export type NewJob = Pick<Job, "jobId" | "kind" | "type" | "backupId" | "reason" | "createdBy">;

/** What the runner is made of. */
export interface JobRunnerOptions {
  store: JobStore;
  clock: Clock;
  /** Keeps the worker alive until the promise settles, where the platform has such a thing. */
  waitUntil?: (work: Promise<unknown>) => void;
  /** Told of failures to record; they must not end the job itself. */
  onError?: (error: BackupError, job: Job) => void;
  /** Between two heartbeats. @default 5000 */
  heartbeatMs?: number;
}

interface Running {
  job: Job;
  abort: AbortController;
  done: Promise<Job>;
}

/** Finished jobs that stay in memory, so that a worker without tables can still answer for them. */
const REMEMBERED = 50;

/** The jobs of this worker. */
export class JobRunner {
  readonly #options: JobRunnerOptions;
  readonly #jobs = new Map<string, Running>();

  constructor(options: JobRunnerOptions) {
    this.#options = options;
  }

  /**
   * Records the job as running, starts its work and returns at once.
   *
   * @throws `conflict` when a job runs that this one cannot run beside
   */
  async start(start: NewJob, work: (context: JobContext) => Promise<JobOutcome>): Promise<Job> {
    const { clock, store, waitUntil } = this.#options;
    const other = [...this.#jobs.values()].find((running) => excludes(running.job, start));
    if (other) throw conflictWith(other.job);
    const job: Job = {
      ...start,
      status: "running",
      startedAt: clock.now().toISOString(),
      completedAt: null,
      sizeBytes: null,
      checksum: null,
      location: null,
      error: null,
      progress: null,
      result: null,
      recorded: false,
    };
    const abort = new AbortController();
    const begun = Promise.withResolvers<Job>();
    // Entered before the first await, so that two requests at once cannot both pass the check above.
    this.#jobs.set(job.jobId, { job, abort, done: begun.promise });
    try {
      job.recorded = (await store.begin(job)).recorded;
    } catch (error) {
      this.#jobs.delete(job.jobId);
      throw error;
    }
    const done = this.#run(job, abort, work);
    done.then(begun.resolve);
    waitUntil?.(done);
    this.#forgetOld();
    return job;
  }

  /** A job of this worker, running or lately finished. */
  get(jobId: string): Job | undefined {
    return this.#jobs.get(jobId)?.job;
  }

  /** All of them, newest last. */
  all(): Job[] {
    return [...this.#jobs.values()].map((running) => running.job);
  }

  /** Waits for a job's end, at most so long; returns it as it then is. */
  async wait(jobId: string, ms: number): Promise<Job | undefined> {
    const running = this.#jobs.get(jobId);
    if (!running) return undefined;
    const patience = new AbortController();
    await Promise.race([
      running.done,
      this.#options.clock.sleep(ms, patience.signal).catch(() => {}), // aborted below, by intent
    ]);
    patience.abort();
    return running.job;
  }

  /** Asks a running job of this worker to stop; false when it is not one. */
  cancel(jobId: string): boolean {
    const running = this.#jobs.get(jobId);
    if (!running || isFinished(running.job)) return false;
    running.abort.abort(
      new BackupError("cancelled", `Cannot finish ${jobId}: it was cancelled by request`),
    );
    return true;
  }

  /** Waits until nothing runs, for an orderly end of the process. */
  async idle(): Promise<void> {
    await Promise.all([...this.#jobs.values()].map((running) => running.done));
  }

  async #run(
    job: Job,
    abort: AbortController,
    work: (context: JobContext) => Promise<JobOutcome>,
  ): Promise<Job> {
    const beating = new AbortController();
    const heart = this.#beat(job, abort, beating.signal);
    const onProgress = (progress: Progress) => void (job.progress = progress);
    try {
      const { result, ...facts } = await work({ job, signal: abort.signal, onProgress });
      Object.assign(job, facts, { result });
      job.status = "completed";
    } catch (error) {
      const reason = abort.signal.aborted ? abort.signal.reason : error;
      const failure = toBackupError(reason);
      job.error = toJobError(failure);
      job.status = failure.code === "cancelled" ? "cancelled" : "failed";
      if (failure.code === "internal") this.#options.onError?.(failure, job);
    }
    job.completedAt = this.#options.clock.now().toISOString();
    beating.abort();
    await heart;
    await this.#record(job);
    return job;
  }

  async #beat(job: Job, abort: AbortController, signal: AbortSignal): Promise<void> {
    const { clock, store, heartbeatMs = 5000 } = this.#options;
    while (!signal.aborted) {
      try {
        await clock.sleep(heartbeatMs, signal);
      } catch {
        return; // the job has ended
      }
      try {
        if (!job.recorded) job.recorded = (await store.begin(job)).recorded;
        else if ((await store.beat(job)).cancelRequested) this.cancel(job.jobId);
      } catch (error) {
        const failure = toBackupError(error);
        if (failure.code === "interrupted") abort.abort(failure);
        else this.#options.onError?.(failure, job);
      }
    }
  }

  async #record(job: Job): Promise<void> {
    try {
      job.recorded = (await this.#options.store.finish(job)).recorded;
    } catch (error) {
      job.recorded = false;
      this.#options.onError?.(toBackupError(error), job);
    }
  }

  #forgetOld(): void {
    const finished = [...this.#jobs.values()].filter((running) => isFinished(running.job));
    for (const running of finished.slice(0, Math.max(0, finished.length - REMEMBERED))) {
      this.#jobs.delete(running.job.jobId);
    }
  }
}

/** Backups and restores of one database exclude each other; a verification only reads storage. */
function excludes(running: Job, next: NewJob): boolean {
  if (isFinished(running)) return false;
  if (running.kind === "verify" || next.kind === "verify") {
    return running.kind === next.kind;
  }
  return running.type === next.type;
}

/** The refusal to start beside another job. */
export function conflictWith(job: Pick<Job, "jobId" | "kind" | "type">): BackupError {
  return new BackupError(
    "conflict",
    `Cannot start: ${job.kind} job ${job.jobId} is running`,
    {
      hint: `Wait for it (action=job&jobId=${job.jobId}) or stop it (action=cancel).`,
      details: { jobId: job.jobId, kind: job.kind, type: job.type },
    },
  );
}

function toJobError(error: BackupError): JobError {
  if (error.code === "internal") {
    return {
      code: error.code,
      message: "Cannot finish the job: an unexpected error, written to the function's log",
    };
  }
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}
