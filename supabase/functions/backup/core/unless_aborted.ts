/**
 * Waiting that an abort ends.
 *
 * @module
 */

/** Gives up waiting when the signal is aborted; what comes after that is undone. */
export async function unlessAborted<T>(
  coming: Promise<T>,
  signal: AbortSignal,
  undo: (late: T) => Promise<void> = () => Promise.resolve(),
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([coming, aborted.promise]);
  } catch (error) {
    // Nobody is left to hear of a failure of either.
    if (signal.aborted) coming.then(undo).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
