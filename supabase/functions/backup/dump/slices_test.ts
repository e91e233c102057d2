import assert from "node:assert/strict";
import { groupsOf, packGroups } from "./slices.ts";

Deno.test("groupsOf() keeps together what pairs tie, also through others, and knows nothing of strangers", () => {
  const pairs = [[5, 2], [9, 5], [3, 77], [77, 4]] as const;
  assert.deepEqual(groupsOf([1, 2, 3, 4, 5, 9], pairs), [[1], [2, 5, 9], [3], [4]]);
  assert.deepEqual(groupsOf([], pairs), []);
});

Deno.test("packGroups() makes slices of about one size and never cuts a group", () => {
  const groups = [[1], [2, 3], [4], [5], [6, 7, 8, 9, 10], [11], [12]]
    .map((oids) => ({ oids, weight: oids.length }));
  assert.deepEqual(packGroups(groups, 4), [[1, 2, 3, 4], [5, 6, 7, 8, 9, 10], [11, 12]]);
  assert.deepEqual(packGroups(groups, 12), [groups.flatMap(({ oids }) => oids)]);
  assert.deepEqual(packGroups([], 2), []);
  const heavy = [1, 1, 9, 1].map((weight, at) => ({ oids: [at], weight }));
  assert.deepEqual(packGroups(heavy, 6), [[0, 1], [2], [3]]);
});
