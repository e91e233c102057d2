/**
 * A storage that tries again. A wrapper, so that no storage has retries of its own.
 *
 * @module
 */
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import type { Storage } from "./storage.ts";

/** How often and how patiently. */
export interface RetryOptions {
  /** Tries in all. Default 5. */
  tries?: number;
  /** Wait before the second try; doubled each time, with jitter. Default 200. */
  firstDelayMs?: number;
  clock?: Clock;
}

/**
 * Repeats what failed with `storage_unreachable`. A `put` whose answer was lost is found stored by
 * its repetition and reported as not created: content is the same either way.
 */
export function retryStorage(inner: Storage, options: RetryOptions = {}): Storage {
  const { tries = 5, firstDelayMs = 200, clock = systemClock } = options;

  async function repeat<T>(run: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (let attempt = 1;; attempt++) {
      signal?.throwIfAborted();
      try {
        return await run();
      } catch (error) {
        if (!mayRetry(error) || attempt >= tries || signal?.aborted) throw error;
        const delayMs = firstDelayMs * 2 ** (attempt - 1);
        await clock.sleep(delayMs * (0.5 + Math.random() / 2), signal);
      }
    }
  }

  const { lock, extendLock, probe } = inner;
  return {
    location: inner.location,
    ...(lock && { lock }),
    ...(probe && { probe }),
    ...(extendLock && {
      extendLock: (names: readonly string[], until: Date, signal?: AbortSignal) =>
        repeat(() => extendLock.call(inner, names, until, signal), signal),
    }),
    put: (name, body, signal) => repeat(() => inner.put(name, body, signal), signal),
    get: (name, range = {}) => repeat(() => inner.get(name, range), range.signal),
    head: (name, signal) => repeat(() => inner.head(name, signal), signal),
    delete: (name, signal) => repeat(() => inner.delete(name, signal), signal),
    async *list(prefix, signal) {
      // A listing that breaks off begins again and leaves out what was already told.
      let last: string | null = null;
      let resumeAfter: string | null = null;
      for (let attempt = 1;; attempt++) {
        try {
          for await (const object of inner.list(prefix, signal)) {
            if (resumeAfter !== null && object.name <= resumeAfter) continue;
            last = object.name;
            attempt = 1;
            yield object;
          }
          return;
        } catch (error) {
          if (!mayRetry(error) || attempt >= tries || signal?.aborted) throw error;
          resumeAfter = last;
          await clock.sleep(firstDelayMs * 2 ** (attempt - 1), signal);
        }
      }
    },
  };
}

function mayRetry(error: unknown): boolean {
  return error instanceof BackupError && error.code === "storage_unreachable";
}
