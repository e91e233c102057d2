/**
 * The speed at which requests are sent: never more in a window of time than allowed, and not before a
 * server that asked for patience has had it.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";

/** How many requests in how long. */
export interface PaceLimit {
  requests: number;
  windowMs: number;
}

/**
 * Asks whether all workers together may send one more, and counts it if so.
 *
 * @returns milliseconds to wait before it is asked again; 0 when one may be sent
 */
export type SharedPace = (limit: PaceLimit) => Promise<number>;

/** One for each client; what several workers do together is counted by the shared one, where there is one. */
export class RequestPace {
  readonly #limit: PaceLimit;
  readonly #clock: Clock;
  readonly #shared: SharedPace;
  /** When the last requests of a window were sent, oldest first. */
  readonly #sentAt: number[] = [];
  #notBefore = 0;
  /** When it looked last. */
  #seenAt = -Infinity;
  #queue: Promise<void> = Promise.resolve();

  constructor(limit: PaceLimit, clock: Clock, shared: SharedPace = () => Promise.resolve(0)) {
    this.#limit = limit;
    this.#clock = clock;
    this.#shared = shared;
  }

  /** Waits until one more request may be sent, and counts it. Who asks first goes first. */
  enter(signal: AbortSignal): Promise<void> {
    const turn = this.#queue.then(() => this.#wait(signal));
    this.#queue = turn.catch(() => {}); // its own caller hears of it; the next one's turn comes
    return turn;
  }

  /** Lets nobody send before so many milliseconds have passed. */
  hold(ms: number): void {
    const until = this.#now() + ms;
    this.#notBefore = Math.max(this.#notBefore, until);
  }

  /** Takes note of a server that says how much is left of its own limit. */
  note(headers: Headers): void {
    const left = headers.get("x-ratelimit-remaining");
    const resetMs = resetDelayMs(headers);
    if (left !== null && Number(left) <= 0 && resetMs !== null) this.hold(resetMs);
  }

  async #wait(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const { requests, windowMs } = this.#limit;
      const now = this.#now();
      const free = this.#sentAt.length < requests ? 0 : (this.#sentAt[0] as number) + windowMs;
      const delayMs = Math.max(free, this.#notBefore) - now;
      const waitMs = delayMs > 0 ? delayMs : await this.#shared(this.#limit);
      if (waitMs <= 0) break;
      await this.#clock.sleep(waitMs, signal);
    }
    this.#sentAt.push(this.#now());
    if (this.#sentAt.length > this.#limit.requests) this.#sentAt.shift();
  }

  /** Where the clock was set back, what was seen before moves with it: nobody waits for its old time to come. */
  #now(): number {
    const now = this.#clock.now().getTime();
    const backMs = this.#seenAt - now;
    if (backMs > 0) {
      for (const [at, sentAt] of this.#sentAt.entries()) this.#sentAt[at] = sentAt - backMs;
      this.#notBefore -= backMs;
    }
    this.#seenAt = now;
    return now;
  }
}

/** How long a refusing server asks to wait, in milliseconds; null when it does not say. */
export function askedDelayMs(headers: Headers, now: Date): number | null {
  const text = headers.get("retry-after")?.trim();
  if (text !== undefined && /^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text ?? "");
  if (!Number.isNaN(date)) return Math.max(0, date - now.getTime());
  return resetDelayMs(headers);
}

function resetDelayMs(headers: Headers): number | null {
  const text = headers.get("x-ratelimit-reset")?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) * 1000 : null;
}
