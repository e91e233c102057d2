/**
 * Large buffers that are used again. A new one for each chunk would make the garbage collector run all the
 * time: it took a fifth of a backup's CPU.
 *
 * @module
 */

/** Buffers kept for later at most. */
const KEPT = 2;

/** Large buffers, taken and given back. */
export class Buffers {
  readonly #free: Uint8Array[] = [];

  /** A buffer of this length; what is in it is left over from before. */
  take(bytes: number): Uint8Array {
    const found = this.#free.findIndex((buffer) => buffer.length === bytes);
    return found < 0 ? new Uint8Array(bytes) : this.#free.splice(found, 1)[0]!;
  }

  /** Takes one back. Nobody may use it any more. */
  give(buffer: Uint8Array): void {
    this.#free.push(buffer);
    if (this.#free.length > KEPT) this.#free.shift();
  }
}
