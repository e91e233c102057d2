/**
 * Runs one job from beginning to end in this process, for programs without the service's tables.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import { type Job, type NewJob, newJob } from "../core/job.ts";
import type { ProgressListener } from "../core/progress.ts";
import type { JobDefinition } from "./job_definition.ts";
import { MemoryPartStore } from "./memory_part_store.ts";
import { runWorker } from "./run_worker.ts";

/** What {@linkcode runInProcess} works with. */
export interface RunInProcessOptions {
  job: NewJob;
  clock: Clock;
  /** Parts at a time. */
  concurrency: number;
  /** Times that the job may begin from its first step. @default 3 */
  maxRounds?: number;
  /** Tries of one part. @default 1 */
  maxAttempts?: number;
  /** Cancels the job. */
  signal?: AbortSignal | undefined;
  onProgress?: ProgressListener | undefined;
  /** Told of what could not be freed at the end. */
  onError?: (error: BackupError) => void;
}

/**
 * Runs the job; returns it when it is completed.
 *
 * @throws what ended it, as it was thrown; `cancelled` when the signal was aborted
 */
export async function runInProcess(
  definition: JobDefinition,
  options: RunInProcessOptions,
): Promise<Job> {
  const { clock, concurrency, maxRounds = 3, maxAttempts = 1, signal, onProgress } = options;
  const job = newJob(options.job, clock.now());
  const { jobId } = job;
  const store = new MemoryPartStore(
    onProgress === undefined ? {} : { onProgress: (_jobId, progress) => onProgress(progress) },
  );
  signal?.throwIfAborted();
  const bounds = { maxWorkers: 1, maxAttempts, maxRounds };
  await store.begin(job, { parts: definition.first(), bounds, request: null });
  let unfreed: BackupError | null = null;
  const cancelling = new AbortController();
  const cancel = () => {
    const cause = signal?.reason;
    cancelling.abort(
      cause instanceof BackupError && cause.code === "cancelled" ? cause : cancelled(job, cause),
    );
  };
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    const worker = {
      store,
      ...{ definitionOf: () => Promise.resolve(definition), worker: "this process" },
      ...{ clock, concurrency, patienceMs: Infinity, jobId },
      onProgress: store.note.bind(store),
      onError: (error: BackupError, about: string) => {
        if (about.startsWith("part end ")) unfreed = error;
      },
    };
    await runWorker({ ...worker, signal: cancelling.signal });
    if (cancelling.signal.aborted) {
      await store.cancel(jobId);
      await runWorker(worker); // what is left is to free what was held
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
  if (job.status !== "completed") throw store.failureOf(jobId) ?? toBackupError(job.error);
  if (unfreed !== null) options.onError?.(unfreed);
  return job;
}

function cancelled({ kind }: Job, cause: unknown): BackupError {
  return new BackupError("cancelled", `Cannot finish the ${kind}: it was cancelled`, { cause });
}
