/** @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { NameSet, PREFIX_BYTES } from "./name_set.ts";

const name = fc.stringMatching(/^[0-9a-f]{64}$/);
const zeros = "0".repeat(64);

Deno.test("NameSet has what was added and nothing else, however it is carried over", () => {
  fc.assert(fc.property(fc.uniqueArray(name, { maxLength: 200 }), name, (names, other) => {
    const set = new NameSet();
    for (const each of names) assert.equal(set.add(each), true);
    for (const each of names) assert.equal(set.add(each), false);
    assert.equal(set.size, names.length);
    const bytes = set.toBytes();
    assert.equal(bytes.length, names.length * PREFIX_BYTES);
    const copy = new NameSet(names.length);
    copy.addBytes(bytes);
    for (const each of names) assert.ok(set.has(each) && copy.has(each));
    const prefixes = names.map((each) => each.slice(0, 16));
    assert.equal(copy.has(other), prefixes.includes(other.slice(0, 16)));
  }));
});

Deno.test("NameSet takes only names of one first digit over", () => {
  fc.assert(fc.property(fc.array(name, { maxLength: 100 }), (names) => {
    const set = new NameSet();
    for (const each of names) set.add(each);
    const part = new NameSet();
    part.addBytes(set.toBytes(), 10);
    for (const each of names) assert.equal(part.has(each), each.startsWith("a"));
  }));
});

Deno.test("NameSet knows the name of zeros only when it was added", () => {
  const set = new NameSet();
  assert.equal(set.has(zeros), false);
  set.add(zeros);
  assert.equal(set.has(zeros), true);
  assert.equal(set.size, 1);
});
