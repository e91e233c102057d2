/**
 * What each of some numbered nodes needs, in one list of numbers for all of them: hundreds of thousands of sets
 * would take ten times the memory.
 *
 * @module
 */

/** Nodes and what they need. */
export interface Needs {
  /** How many nodes there are; they have the numbers below. */
  readonly size: number;
  /** What a node needs, each once, in the order in which it was added. */
  of(node: number): Iterable<number>;
  /** The same for whoever asks of all nodes: it makes no list for each. */
  each(node: number, use: (need: number) => void): void;
  has(node: number, need: number): boolean;
}

/** Lists up to so long are searched one by one. */
const SHORT = 16;

/** Needs that are added first, then read, and changed at a few nodes while they are read. */
export class NeedLists implements Needs {
  readonly size: number;
  /** Pairs that were added, until somebody reads. */
  #added = new NumberPairs();
  #lists: NumberLists | undefined;
  /** Of nodes that were changed after that, or that are long and were asked for one need. */
  readonly #sets = new Map<number, Set<number>>();

  constructor(size: number) {
    this.size = size;
  }

  add(node: number, need: number): void {
    if (this.#lists === undefined) this.#added.push(node, need);
    else this.#setOf(node).add(need);
  }

  delete(node: number, need: number): void {
    this.#setOf(node).delete(need);
  }

  of(node: number): Iterable<number> {
    return this.#sets.get(node) ?? this.#listOf(node);
  }

  each(node: number, use: (need: number) => void): void {
    const set = this.#sets.get(node);
    if (set === undefined) this.#read().each(node, use);
    else set.forEach(use);
  }

  has(node: number, need: number): boolean {
    const set = this.#sets.get(node);
    if (set !== undefined) return set.has(need);
    const list = this.#listOf(node);
    return list.length <= SHORT ? list.includes(need) : this.#setOf(node).has(need);
  }

  #setOf(node: number): Set<number> {
    let set = this.#sets.get(node);
    if (set === undefined) this.#sets.set(node, set = new Set(this.#listOf(node)));
    return set;
  }

  #listOf(node: number): Int32Array {
    return this.#read().at(node);
  }

  #read(): NumberLists {
    if (this.#lists === undefined) {
      this.#lists = NumberLists.of(this.size, this.#added);
      this.#lists.keepFirst();
      this.#added = new NumberPairs();
    }
    return this.#lists;
  }
}

/** Pairs of numbers in the order in which they were added. */
export class NumberPairs {
  #items = new Int32Array(64);
  #length = 0;

  /** How many pairs. */
  get length(): number {
    return this.#length / 2;
  }

  push(one: number, other: number): void {
    if (this.#length === this.#items.length) {
      const grown = new Int32Array(this.#length * 2);
      grown.set(this.#items);
      this.#items = grown;
    }
    this.#items[this.#length++] = one;
    this.#items[this.#length++] = other;
  }

  one(at: number): number {
    return this.#items[2 * at]!;
  }

  other(at: number): number {
    return this.#items[2 * at + 1]!;
  }
}

/** A list of numbers for each number below some size, all in one. */
export class NumberLists {
  /** Where the list of each begins, and that of the next. */
  readonly #first: Int32Array;
  #items: Int32Array;

  private constructor(first: Int32Array, items: Int32Array) {
    this.#first = first;
    this.#items = items;
  }

  /** The lists of the first numbers of pairs: of their others, in the order of the pairs. */
  static of(size: number, pairs: NumberPairs): NumberLists {
    const first = new Int32Array(size + 1);
    for (let at = 0; at < pairs.length; at++) first[pairs.one(at) + 1]!++;
    for (let number = 0; number < size; number++) first[number + 1]! += first[number]!;
    const next = first.slice(0, size);
    const items = new Int32Array(pairs.length);
    for (let at = 0; at < pairs.length; at++) items[next[pairs.one(at)]!++] = pairs.other(at);
    return new NumberLists(first, items);
  }

  /** The list of a number; empty for one that has none. */
  at(number: number): Int32Array {
    return this.#items.subarray(this.#first[number] ?? 0, this.#first[number + 1] ?? 0);
  }

  /** Hands over what is in the list of a number. */
  each(number: number, use: (item: number) => void): void {
    const end = this.#first[number + 1] ?? 0;
    for (let at = this.#first[number] ?? 0; at < end; at++) use(this.#items[at]!);
  }

  /** Takes out of each list what stands in it already. */
  keepFirst(): void {
    const first = this.#first;
    const items = this.#items;
    const seenIn = new Int32Array(first.length).fill(-1);
    let end = 0;
    let from = 0;
    for (let number = 0; number + 1 < first.length; number++) {
      const to = first[number + 1]!;
      for (let at = from; at < to; at++) {
        const item = items[at]!;
        if (seenIn[item] === number) continue;
        seenIn[item] = number;
        items[end++] = item;
      }
      from = to;
      first[number + 1] = end;
    }
    this.#items = items.slice(0, end);
  }
}
