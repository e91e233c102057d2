/**
 * Time and waiting as values, so that tests can hold them.
 *
 * @module
 */

/** Where the time comes from. Nothing else in the product calls `Date.now`. */
export interface Clock {
  /** The present moment. */
  now(): Date;
  /** Waits; rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};

/**
 * Begins to measure how long something takes: by the clock or by the process's own running time, whichever says
 * more. A clock may be set back meanwhile, and the running time may stand while a machine sleeps.
 *
 * @returns gives the milliseconds since then
 */
export function startStopwatch(clock: Clock): () => number {
  const begunAt = clock.now().getTime();
  const ranMs = performance.now();
  return () => Math.max(clock.now().getTime() - begunAt, performance.now() - ranMs);
}
