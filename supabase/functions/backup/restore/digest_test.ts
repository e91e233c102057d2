import assert from "node:assert/strict";
import { digestOf } from "./digest.ts";

Deno.test("digestOf() tells lists of texts apart by every character, their order and where each ends", () => {
  const lists = [
    [],
    [""],
    ["", ""],
    ["ab"],
    ["a", "b"],
    ["ba"],
    ["b", "a"],
    ["ab", ""],
    ["aB"],
    ["größe"],
    ["grösse"],
    ...Array.from({ length: 5000 }, (_, at) => [`CREATE TABLE t${at} (id int)`]),
  ];
  const digests = lists.map((texts) => digestOf(texts).join(" "));
  assert.equal(new Set(digests).size, lists.length);
  // Either number alone does nearly as well: no part of the digest is idle.
  for (const half of [0, 1]) {
    const halves = new Set(lists.map((texts) => digestOf(texts)[half]));
    assert.ok(halves.size >= lists.length - 1, String(halves.size));
  }
  assert.deepEqual(digestOf(["a", "b"]), digestOf(new Set(["a", "b"])));
});
