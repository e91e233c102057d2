/**
 * Numbers by numbers, in two lists instead of a `Map`: that takes a third of the memory, and there are millions
 * of them in a very large schema. Open addressing with linear probing (Knuth, "The Art of Computer Programming",
 * volume 3, section 6.4, algorithm L).
 *
 * @module
 */

const FIRST_CAPACITY = 8;
/** Of Fibonacci hashing: 2^32 divided by the golden ratio. */
const MULTIPLIER = 0x9e3779b1;

/** A map from numbers of any size to numbers from 0 to 2^31 - 2. */
export class NumberMap {
  #keys = new Float64Array(FIRST_CAPACITY);
  /** One more than the value; 0 where there is none. */
  #values = new Int32Array(FIRST_CAPACITY);
  #size = 0;

  get(key: number): number | undefined {
    const value = this.#values[this.#placeOf(key)]!;
    return value === 0 ? undefined : value - 1;
  }

  set(key: number, value: number): void {
    const place = this.#placeOf(key);
    if (this.#values[place] === 0) this.#size++;
    this.#keys[place] = key;
    this.#values[place] = value + 1;
    if (this.#size * 4 > this.#values.length * 3) this.#grow();
  }

  /** Where the key is, or would be. */
  #placeOf(key: number): number {
    const mask = this.#values.length - 1;
    const hash = Math.imul(key, MULTIPLIER);
    let place = (hash ^ (hash >>> 15)) & mask;
    while (this.#values[place] !== 0 && this.#keys[place] !== key) place = (place + 1) & mask;
    return place;
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    this.#keys = new Float64Array(keys.length * 2);
    this.#values = new Int32Array(values.length * 2);
    for (let at = 0; at < values.length; at++) {
      if (values[at] === 0) continue;
      const place = this.#placeOf(keys[at]!);
      this.#keys[place] = keys[at]!;
      this.#values[place] = values[at]!;
    }
  }
}
