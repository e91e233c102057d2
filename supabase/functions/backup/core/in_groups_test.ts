import assert from "node:assert/strict";
import { inGroups } from "./in_groups.ts";

Deno.test("inGroups() keeps the order, the size and the bytes, and leaves a large item by itself", () => {
  assert.deepEqual(inGroups([], { size: 2 }), []);
  assert.deepEqual(inGroups([1, 2, 3], { size: 2 }), [[1, 2], [3]]);
  const bytesOf = (item: number) => item;
  const groups = inGroups([1, 2, 9, 1, 4, 1], { size: 3, mostBytes: 5, bytesOf });
  assert.deepEqual(groups, [[1, 2], [9], [1, 4], [1]]);
});
