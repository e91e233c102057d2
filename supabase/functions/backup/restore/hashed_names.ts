/**
 * Many names as four bytes each, by their numbers: so small that every worker of a job can look for some.
 *
 * @module
 */
import { numbersAsText, textAsNumbers } from "./packed_numbers.ts";

/** See the module. Two names may have one hash: what is found has to be looked at. */
export class HashedNames {
  readonly #hashes: Uint32Array;
  #numbers: ReadonlyMap<number, number[]> | undefined;

  private constructor(hashes: Uint32Array) {
    this.#hashes = hashes;
  }

  /** Hashes names in the order of their numbers. */
  static of(names: readonly string[]): HashedNames {
    return new HashedNames(Uint32Array.from(names, hashOf));
  }

  /** Of hashes that were made before, by {@linkcode hashOf}. */
  static ofHashes(hashes: Uint32Array): HashedNames {
    return new HashedNames(hashes);
  }

  /** Back from {@linkcode toString}. */
  static from(text: string): HashedNames {
    return new HashedNames(textAsNumbers(text));
  }

  toString(): string {
    return numbersAsText(this.#hashes);
  }

  /** Numbers that may have one of these names, the smallest first. */
  find(names: Iterable<string>): number[] {
    this.#numbers ??= numbersOf(this.#hashes);
    const found = new Set<number>();
    for (const name of names) {
      for (const number of this.#numbers.get(hashOf(name)) ?? []) found.add(number);
    }
    return [...found].sort((a, b) => a - b);
  }
}

function numbersOf(hashes: Uint32Array): Map<number, number[]> {
  const numbers = new Map<number, number[]>();
  hashes.forEach((hash, number) => {
    const same = numbers.get(hash);
    if (same === undefined) numbers.set(hash, [number]);
    else same.push(number);
  });
  return numbers;
}

/** FNV-1a over the characters. */
export function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
