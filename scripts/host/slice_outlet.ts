/**
 * Slices on their way out of a thread: their memory moves with them and comes back, and one of them is under way at a
 * time. While it is used, the thread reads the next chunk; more would only be memory.
 *
 * @module
 */
import { Buffers } from "../../supabase/functions/backup/repository/buffers.ts";

/** What slices of rows mostly fit into, a whole chunk each. */
const MEMORY_BYTES = 8 * 1024 * 1024;

/** For all outlets of this thread. */
const memories = new Buffers();

/** The way out for the slices of one task. */
export class SliceOutlet {
  readonly #tell: (slice: Uint8Array) => void;
  readonly #signal: AbortSignal;
  /** The slice before is used up, or the task is stopped. */
  #free: PromiseWithResolvers<void> | null = null;

  /** @param signal ends the waiting; it lives no longer than the task */
  constructor(tell: (slice: Uint8Array) => void, signal: AbortSignal) {
    this.#tell = tell;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#free?.resolve(), { once: true });
  }

  /** Sends a copy once the one before is used up. @throws the signal's reason */
  async send(slice: Uint8Array): Promise<void> {
    await this.#free?.promise;
    this.#signal.throwIfAborted();
    this.#free = Promise.withResolvers();
    // A small one would move more memory than it needs.
    const isLarge = slice.length > MEMORY_BYTES / 2 && slice.length <= MEMORY_BYTES;
    const memory = isLarge ? memories.take(MEMORY_BYTES) : new Uint8Array(slice.length);
    memory.set(slice);
    this.#tell(memory.subarray(0, slice.length));
  }

  /** The slice that was sent is used up. */
  taken(): void {
    this.#free?.resolve();
  }
}

/** Keeps memory that has come back; also that of the last slice, whose task is over by then. */
export function keepMemory(memory: ArrayBufferLike): void {
  if (memory.byteLength === MEMORY_BYTES) memories.give(new Uint8Array(memory));
}
