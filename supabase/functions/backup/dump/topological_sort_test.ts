import assert from "node:assert/strict";
import { findLoops, topologicalSort } from "./topological_sort.ts";

const needs = (...lists: number[][]) => lists.map((list) => new Set(list));

Deno.test("nodes without needs keep the given order", () => {
  assert.deepEqual(topologicalSort(needs([], [], [], [])).order, [0, 1, 2, 3]);
});

Deno.test("a node stands behind what it needs, and others stay where they were", () => {
  assert.deepEqual(topologicalSort(needs([2], [], [], [])), { order: [2, 0, 1, 3], left: [] });
});

Deno.test("a long chain given backwards is turned around", () => {
  const count = 20_000;
  const chain = Array.from(
    { length: count },
    (_, node) => new Set(node + 1 < count ? [node + 1] : []),
  );
  const { order } = topologicalSort(chain);
  assert.equal(order[0], count - 1);
  assert.equal(order[count - 1], 0);
});

Deno.test("nodes of a loop and what they need find no place", () => {
  assert.deepEqual(topologicalSort(needs([1], [0, 2], [], [])), { order: [3], left: [0, 1, 2] });
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
