/**
 * Waiting that ends.
 *
 * @module
 */

/** See {@linkcode startDeadline}. */
export interface Deadline {
  signal: AbortSignal;
  /** Something came: the time begins anew. */
  renew(): void;
  /** No more waiting; frees the timer. */
  end(): void;
}

/** A signal that aborts when nothing has come for so long, or with the caller's. */
export function startDeadline(
  timeoutMs: number,
  outer: AbortSignal,
): Deadline {
  const controller = new AbortController();
  const follow = () => controller.abort(outer.reason);
  if (outer.aborted) follow();
  outer.addEventListener("abort", follow, { once: true });
  const expire = () =>
    controller.abort(new Error(`nothing came for ${Math.round(timeoutMs / 1000)} seconds`));
  let timer = setTimeout(expire, timeoutMs);
  return {
    signal: controller.signal,
    renew() {
      clearTimeout(timer);
      timer = setTimeout(expire, timeoutMs);
    },
    end() {
      clearTimeout(timer);
      outer.removeEventListener("abort", follow);
    },
  };
}
