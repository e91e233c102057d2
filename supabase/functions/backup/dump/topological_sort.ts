/**
 * Sorting of numbered nodes by what each needs, keeping the given order where that leaves a choice,
 * and the search for the loops that make it impossible.
 *
 * @module
 */

/** Needs of each node: `needs[i]` holds the numbers of the nodes that must come before node i. */
export type Needs = readonly ReadonlySet<number>[];

/** The order, complete or without the nodes that stand in or before a loop. */
export interface SortResult {
  order: number[];
  /** Nodes that found no place, in the given order; empty on success. */
  left: number[];
}

/**
 * Sorts from the back: of the nodes that nothing unplaced needs, the last of the given order is
 * placed last. So a node moves no further than its needs force it.
 */
export function topologicalSort(needs: Needs): SortResult {
  const neededBy = new Array<number>(needs.length).fill(0);
  for (const set of needs) for (const need of set) neededBy[need]!++;
  const free = new MaxHeap();
  neededBy.forEach((count, node) => count === 0 && free.push(node));
  const backwards: number[] = [];
  const placed = new Uint8Array(needs.length);
  for (let node = free.pop(); node !== undefined; node = free.pop()) {
    backwards.push(node);
    placed[node] = 1;
    for (const need of needs[node]!) {
      neededBy[need]!--;
      if (neededBy[need] === 0) free.push(need);
    }
  }
  const left: number[] = [];
  placed.forEach((isPlaced, node) => isPlaced === 0 && left.push(node));
  return { order: backwards.reverse(), left };
}

/**
 * Loops among the nodes, each as a run in which every node needs the next and the last needs the
 * first; short ones first, no node in two of them.
 */
export function findLoops(needs: Needs, among: readonly number[]): number[][] {
  const done = new Uint8Array(needs.length);
  const loops: number[][] = [];
  for (const start of among) {
    if (done[start] === 1) continue;
    const loop = findLoop(needs, start, done);
    if (loop === null) continue;
    for (const node of loop) done[node] = 1;
    loops.push(loop);
  }
  return loops;
}

/** The path from `start` back to itself, by depth; a node's direct way back is taken at once. */
function findLoop(needs: Needs, start: number, done: Uint8Array): number[] | null {
  const tried = new Set<number>([start]);
  const path: { node: number; rest: Iterator<number> }[] = [];
  const enter = (node: number) => path.push({ node, rest: needs[node]!.values() });
  enter(start);
  while (path.length > 0) {
    const top = path[path.length - 1]!;
    if (needs[top.node]!.has(start)) return path.map((step) => step.node);
    let next = top.rest.next();
    while (!next.done && (tried.has(next.value) || done[next.value] === 1)) next = top.rest.next();
    if (next.done) path.pop();
    else {
      tried.add(next.value);
      enter(next.value);
    }
  }
  return null;
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
