/**
 * Runs many units with a few workers: the first failure stops them all.
 *
 * @module
 */

/** How {@linkcode runUnits} works. */
export interface RunUnitsOptions<Unit, Result> {
  /** How many units run at a time, at least 1. */
  workers: number;
  /**
   * Does one unit. `worker` is 0 … workers − 1 and tells which of the callers' resources (connections)
   * is free for it; `signal` is aborted when another unit has failed or the caller gave up.
   */
  run: (unit: Unit, worker: number, signal: AbortSignal) => Promise<Result>;
  signal?: AbortSignal | undefined;
}

/**
 * The results, in the order of the units. Units start in order.
 *
 * It settles only after every started unit has settled, so that the caller may close what they used.
 *
 * @throws what the first failing unit threw, or the signal's reason
 */
export async function runUnits<Unit, Result>(
  units: readonly Unit[],
  options: RunUnitsOptions<Unit, Result>,
): Promise<Result[]> {
  const { workers, run, signal } = options;
  if (!Number.isInteger(workers) || workers < 1) {
    throw new RangeError(
      `Cannot run units: workers must be 1 or more, current value is ${workers}`,
    );
  }
  const results = new Array<Result>(units.length);
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal?.reason);
  if (signal?.aborted) throw signal.reason;
  signal?.addEventListener("abort", onAbort, { once: true });
  let next = 0;
  const work = async (worker: number) => {
    while (next < units.length && !stop.signal.aborted) {
      const index = next++;
      try {
        results[index] = await run(units[index] as Unit, worker, stop.signal);
      } catch (error) {
        // The first failure is the reason; those that follow are its consequences.
        stop.abort(error);
        return;
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(workers, units.length) }, (_, i) => work(i)));
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
  if (stop.signal.aborted) throw stop.signal.reason;
  return results;
}
