import assert from "node:assert/strict";
import { groupsOf, packGroups } from "./slices.ts";

Deno.test("groupsOf() keeps together what pairs tie, also through others, and knows nothing of strangers", () => {
  const pairs = [[5, 2], [9, 5], [3, 77], [77, 4]] as const;
  assert.deepEqual(groupsOf([1, 2, 3, 4, 5, 9], pairs), [[1], [2, 5, 9], [3], [4]]);
  assert.deepEqual(groupsOf([], pairs), []);
});

Deno.test("packGroups() makes slices of about one size and never cuts a group", () => {
  const groups = [[1], [2, 3], [4], [5], [6, 7, 8, 9, 10], [11], [12]];
  assert.deepEqual(packGroups(groups, 3), [[1, 2, 3, 4], [5, 6, 7, 8, 9, 10], [11, 12]]);
  assert.deepEqual(packGroups(groups, 1), [groups.flat()]);
  assert.deepEqual(packGroups([], 2), []);
});
