import assert from "node:assert/strict";
import { NeedLists, NumberLists, NumberPairs } from "./needs.ts";

Deno.test("a node needs each once, in the order in which they were added", () => {
  const needs = new NeedLists(3);
  for (const need of [2, 1, 2, 0, 1]) needs.add(1, need);
  needs.add(0, 2);
  assert.deepEqual([...needs.of(1)], [2, 1, 0]);
  assert.deepEqual([...needs.of(0)], [2]);
  assert.deepEqual([...needs.of(2)], []);
});

Deno.test("needs are changed while they are read", () => {
  const needs = new NeedLists(3);
  for (const need of [1, 2]) needs.add(0, need);
  assert.ok(needs.has(0, 1));
  needs.delete(0, 1);
  needs.add(0, 0);
  needs.add(2, 1);
  assert.deepEqual([...needs.of(0)], [2, 0]);
  assert.ok(!needs.has(0, 1) && needs.has(2, 1) && !needs.has(1, 2));
});

Deno.test("a long list is searched as a short one is", () => {
  const needs = new NeedLists(100);
  for (let need = 0; need < 100; need += 2) needs.add(0, need);
  assert.ok(needs.has(0, 98) && !needs.has(0, 97));
  assert.equal([...needs.of(0)].length, 50);
});

Deno.test("lists of pairs keep their order, and a number without pairs has an empty one", () => {
  const pairs = new NumberPairs();
  for (let at = 0; at < 200; at++) pairs.push(at % 2, at);
  const lists = NumberLists.of(3, pairs);
  assert.deepEqual([...lists.at(1)].slice(0, 3), [1, 3, 5]);
  assert.equal(lists.at(0).length, 100);
  assert.deepEqual([lists.at(2).length, lists.at(99).length], [0, 0]);
});
