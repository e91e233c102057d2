import assert from "node:assert/strict";
import { NeedLists } from "./needs.ts";
import { findLoops, topologicalSort } from "./topological_sort.ts";

function needs(...lists: number[][]): NeedLists {
  const needs = new NeedLists(lists.length);
  lists.forEach((list, node) => list.forEach((need) => needs.add(node, need)));
  return needs;
}

/** Sorts, as plain lists. */
function sort(needs: NeedLists): { order: number[]; left: number[] } {
  const { order, left } = topologicalSort(needs);
  return { order: [...order], left };
}

Deno.test("nodes without needs keep the given order", () => {
  assert.deepEqual(sort(needs([], [], [], [])).order, [0, 1, 2, 3]);
});

Deno.test("a node stands behind what it needs, and others stay where they were", () => {
  assert.deepEqual(sort(needs([2], [], [], [])), { order: [2, 0, 1, 3], left: [] });
});

Deno.test("a long chain given backwards is turned around", () => {
  const count = 20_000;
  const chain = needs(
    ...Array.from({ length: count }, (_, node) => node + 1 < count ? [node + 1] : []),
  );
  const { order } = topologicalSort(chain);
  assert.equal(order[0], count - 1);
  assert.equal(order[count - 1], 0);
});

Deno.test("nodes of a loop and what they need find no place", () => {
  assert.deepEqual(sort(needs([1], [0, 2], [], [])), { order: [3], left: [0, 1, 2] });
});

Deno.test("a loop is found as a run in which each needs the next", () => {
  assert.deepEqual(findLoops(needs([1], [2], [0]), [0, 1, 2]), [[0, 1, 2]]);
});

Deno.test("the direct way back is found before a long way round", () => {
  assert.deepEqual(findLoops(needs([1], [2, 0], [0]), [0, 1, 2]), [[0, 1]]);
});

Deno.test("a node that needs itself is a loop of one", () => {
  assert.deepEqual(findLoops(needs([0]), [0]), [[0]]);
});

Deno.test("what only leads into a loop is no part of it", () => {
  assert.deepEqual(findLoops(needs([1], [2], [1]), [0, 1, 2]), [[1, 2]]);
});
