/**
 * Locks of objects that are used again: a new backup keeps what it refers to for as long as what it has
 * stored itself. Where the storage locks nothing, nothing is done.
 *
 * @module
 */
import { type Clock, systemClock } from "../core/clock.ts";
import { lockedFor, lockedUntil } from "../storage/locks.ts";
import type { Storage } from "../storage/storage.ts";

/** Names whose lock is asked for in one call. */
const BATCH = 256;

/** Makes locks longer, and remembers how long they are. */
export class ObjectLocks {
  readonly #storage: Storage;
  readonly #clock: Clock;
  /** End of a lock by path, in ms; what is not here is not known to this process. */
  readonly #ends = new Map<string, number>();

  constructor(storage: Storage, clock: Clock = systemClock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Whether the storage locks at all. */
  get active(): boolean {
    return this.#storage.extendLock !== undefined;
  }

  /** Stores by `put`, and remembers the lock that the storage gives to a new object. */
  async storing<T extends { created: boolean }>(path: string, put: () => Promise<T>): Promise<T> {
    const { lock } = this.#storage;
    if (lock === undefined) return await put();
    const end = lockedUntil(lock, this.#clock).getTime();
    const result = await put();
    if (result.created) this.#ends.set(path, end);
    return result;
  }

  /**
   * Makes sure that objects are locked for the whole time from now on.
   *
   * @throws `storage_*`; `storage_missing` when one of them is not there
   */
  async extend(paths: Iterable<string>, signal?: AbortSignal): Promise<void> {
    const { lock } = this.#storage;
    if (lock === undefined || !this.active) return;
    const needed = this.#clock.now().getTime() + lockedFor(lock);
    const due = [...new Set(paths)].filter((path) => (this.#ends.get(path) ?? 0) < needed);
    for (let at = 0; at < due.length; at += BATCH) {
      signal?.throwIfAborted();
      const batch = due.slice(at, at + BATCH);
      const until = lockedUntil(lock, this.#clock);
      await this.#storage.extendLock!(batch, until, signal);
      const end = lock.mode === null ? Infinity : until.getTime();
      for (const path of batch) this.#ends.set(path, end);
    }
  }
}
