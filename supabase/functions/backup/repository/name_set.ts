/**
 * A set of chunk names in little memory: eight of their 32 bytes each, in two arrays. A million names take
 * 16 MB, where as strings they would take a hosted worker's whole memory.
 *
 * Two names that begin alike count as one, which has odds of one in 2^44 among a million. Whoever uses it
 * must be safe then: it keeps a chunk that could go.
 *
 * @module
 */

/** Bytes of a name that are kept. */
export const PREFIX_BYTES = 8;

/** See the module. */
export class NameSet {
  #slots: Uint32Array;
  #size = 0;

  /** @param expected how many names it will hold; it grows by itself */
  constructor(expected = 0) {
    this.#slots = new Uint32Array(2 * capacityFor(expected));
  }

  get size(): number {
    return this.#size;
  }

  /** @param name hexadecimal digits, at least 16 */
  add(name: string): boolean {
    return this.#add(parseInt(name.slice(0, 8), 16), parseInt(name.slice(8, 16), 16));
  }

  has(name: string): boolean {
    const [high, low] = [parseInt(name.slice(0, 8), 16), parseInt(name.slice(8, 16), 16)];
    const at = this.#find(high, low === 0 && high === 0 ? 1 : low);
    return this.#slots[at] !== 0 || this.#slots[at + 1] !== 0;
  }

  /** Adds names as {@linkcode NameSet.toBytes} gives them. @param only those whose name begins with this digit */
  addBytes(bytes: Uint8Array, only?: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + PREFIX_BYTES <= bytes.length; at += PREFIX_BYTES) {
      const high = view.getUint32(at);
      if (only === undefined || high >>> 28 === only) this.#add(high, view.getUint32(at + 4));
    }
  }

  /** All beginnings of names, one after the other. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#size * PREFIX_BYTES);
    const view = new DataView(bytes.buffer);
    let to = 0;
    for (let at = 0; at < this.#slots.length; at += 2) {
      const [high, low] = [this.#slots[at]!, this.#slots[at + 1]!];
      if (high === 0 && low === 0) continue;
      view.setUint32(to, high);
      view.setUint32(to + 4, low);
      to += PREFIX_BYTES;
    }
    return bytes;
  }

  #add(high: number, given: number): boolean {
    const low = high === 0 && given === 0 ? 1 : given; // both zero stand for a free slot
    if (4 * (this.#size + 1) > this.#slots.length) this.#grow(); // at most half full
    const at = this.#find(high, low);
    if (this.#slots[at] !== 0 || this.#slots[at + 1] !== 0) return false;
    this.#slots[at] = high;
    this.#slots[at + 1] = low;
    this.#size++;
    return true;
  }

  /** The slot of a name, or the free one where it belongs. Names are hashes already. */
  #find(high: number, low: number): number {
    const mask = this.#slots.length / 2 - 1;
    let slot = (high ^ Math.imul(low, 0x9e3779b1)) & mask;
    for (;;) {
      const at = 2 * slot;
      const [h, l] = [this.#slots[at], this.#slots[at + 1]];
      if ((h === high && l === low) || (h === 0 && l === 0)) return at;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    this.#size = 0;
    for (let at = 0; at < old.length; at += 2) {
      if (old[at] !== 0 || old[at + 1] !== 0) this.#add(old[at]!, old[at + 1]!);
    }
  }
}

/** Slots for so many names, half of them free; a power of two. */
function capacityFor(expected: number): number {
  let capacity = 16;
  while (capacity < 2 * expected) capacity *= 2;
  return capacity;
}
