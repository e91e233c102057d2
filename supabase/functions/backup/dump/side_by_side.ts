/**
 * Readings of one session side by side: their questions go to the server without waiting for each other, so
 * that it looks for the next answers while those before are being read.
 *
 * @module
 */

/**
 * What they give, once all of them have ended: a failure goes on only when no other asks anything any more.
 *
 * @throws the first failure, in the order given
 */
export async function sideBySide<T extends readonly unknown[]>(
  readings: { [At in keyof T]: Promise<T[At]> },
): Promise<T> {
  const ended = await Promise.allSettled(readings);
  return ended.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  }) as unknown as T;
}
