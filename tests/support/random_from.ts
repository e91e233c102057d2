/**
 * Random numbers that a seed repeats.
 *
 * @module
 */

/** A generator of numbers in [0, 1): xorshift of 32 bits, good enough to choose victims. */
export function randomFrom(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
