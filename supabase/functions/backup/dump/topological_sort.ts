/**
 * Sorting of numbered nodes by what each needs, keeping the given order where that leaves a choice,
 * and the search for the loops that make it impossible.
 *
 * @module
 */

import type { Needs } from "./needs.ts";

/** The order, complete or without the nodes that stand in or before a loop. */
export interface SortResult {
  order: Int32Array;
  /** Nodes that found no place, in the given order; empty on success. */
  left: number[];
}

/**
 * Sorts from the back: of the nodes that nothing unplaced needs, the last of the given order is
 * placed last. So a node moves no further than its needs force it.
 */
export function topologicalSort(needs: Needs): SortResult {
  const { size } = needs;
  const neededBy = new Int32Array(size);
  const count = (need: number) => void neededBy[need]!++;
  for (let node = 0; node < size; node++) needs.each(node, count);
  const free = new MaxHeap();
  neededBy.forEach((count, node) => count === 0 && free.push(node));
  const order = new Int32Array(size);
  let first = size;
  const placed = new Uint8Array(size);
  const release = (need: number) => {
    neededBy[need]!--;
    if (neededBy[need] === 0) free.push(need);
  };
  for (let node = free.pop(); node !== undefined; node = free.pop()) {
    order[--first] = node;
    placed[node] = 1;
    needs.each(node, release);
  }
  const left: number[] = [];
  placed.forEach((isPlaced, node) => isPlaced === 0 && left.push(node));
  return { order: order.subarray(first), left };
}

/**
 * Loops among the nodes, each as a run in which every node needs the next and the last needs the
 * first; short ones first, no node in two of them.
 */
export function findLoops(needs: Needs, among: readonly number[]): number[][] {
  const done = new Uint8Array(needs.size);
  const loops: number[][] = [];
  const knots = findKnots(needs, among);
  for (const start of among) {
    if (done[start] === 1) continue;
    const loop = findLoop(needs, start, { done, knots });
    if (loop === null) continue;
    for (const node of loop) done[node] = 1;
    loops.push(loop);
  }
  return loops;
}

/**
 * The path from `start` back to itself, by depth; a node's direct way back is taken at once. A loop
 * never leaves its knot, so neither does the search: without that it would walk everything a node
 * needs, for every node.
 */
function findLoop(
  needs: Needs,
  start: number,
  { done, knots }: { done: Uint8Array; knots: Int32Array },
): number[] | null {
  const skip = (node: number) => done[node] === 1 || knots[node] !== knots[start];
  const tried = new Set<number>([start]);
  const path: { node: number; rest: Iterator<number> }[] = [];
  const enter = (node: number) => path.push({ node, rest: needs.of(node)[Symbol.iterator]() });
  enter(start);
  while (path.length > 0) {
    const top = path[path.length - 1]!;
    if (needs.has(top.node, start)) return path.map((step) => step.node);
    let next = top.rest.next();
    while (!next.done && (tried.has(next.value) || skip(next.value))) next = top.rest.next();
    if (next.done) path.pop();
    else {
      tried.add(next.value);
      enter(next.value);
    }
  }
  return null;
}

/**
 * Numbers the strongly connected components: nodes that reach each other have the same number.
 * Tarjan, "Depth-first search and linear graph algorithms", 1972; without recursion.
 */
function findKnots(needs: Needs, among: readonly number[]): Int32Array {
  const knots = new Int32Array(needs.size).fill(-1);
  const seenAt = new Int32Array(needs.size).fill(-1);
  const lowest = new Int32Array(needs.size);
  const open: number[] = [];
  const path: { node: number; rest: Iterator<number> }[] = [];
  let seen = 0;
  const enter = (node: number) => {
    seenAt[node] = lowest[node] = seen++;
    open.push(node);
    path.push({ node, rest: needs.of(node)[Symbol.iterator]() });
  };
  const leave = (node: number) => {
    path.pop();
    const above = path[path.length - 1];
    if (above !== undefined) lowest[above.node] = Math.min(lowest[above.node]!, lowest[node]!);
    if (lowest[node] !== seenAt[node]) return;
    let member: number;
    do {
      member = open.pop()!;
      knots[member] = node;
    } while (member !== node);
  };
  for (const start of among) {
    if (seenAt[start] !== -1) continue;
    enter(start);
    while (path.length > 0) {
      const { node, rest } = path[path.length - 1]!;
      const next = rest.next();
      if (next.done) leave(node);
      else if (seenAt[next.value] === -1) enter(next.value);
      else if (knots[next.value] === -1) {
        lowest[node] = Math.min(lowest[node]!, seenAt[next.value]!);
      }
    }
  }
  return knots;
}

/** A binary heap with the greatest number on top. */
class MaxHeap {
  readonly #items: number[] = [];

  push(item: number): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (items[parent]! >= item) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = item;
  }

  pop(): number | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && items[child + 1]! > items[child]!) child++;
      if (items[child]! <= last) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    return top;
  }
}
