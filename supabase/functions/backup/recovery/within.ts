/**
 * Bounds the time of a piece of work.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";

/** What {@linkcode within} works with. */
export interface WithinOptions {
  clock: Clock;
  ms: number;
  /** Stops the work too, with its own reason. */
  signal: AbortSignal;
  /** What the work is stopped with when its time is over. */
  error: () => Error;
}

/**
 * Does the work, which is told by its signal to stop; who does not listen is not waited for.
 *
 * @throws what the work throws, the signal's reason, or the error when the time is over
 */
export async function within<T>(
  { clock, ms, signal, error }: WithinOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timer = new AbortController();
  const done = new AbortController();
  signal.throwIfAborted();
  clock.sleep(Math.max(0, ms), done.signal).then(() => timer.abort(error()), () => {}); // done in time
  const either = AbortSignal.any([signal, timer.signal]);
  const stopped = new Promise<never>((_, reject) => {
    either.addEventListener("abort", () => reject(either.reason), { once: true });
  });
  try {
    return await Promise.race([stopped, work(either)]);
  } finally {
    done.abort();
  }
}
