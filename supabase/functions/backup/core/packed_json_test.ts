import assert from "node:assert/strict";
import { PackedList, packJson, unpackJson } from "./packed_json.ts";
import type { Json } from "./part.ts";

Deno.test("values come back as they were, small ones and large ones", () => {
  const large = { lines: Array.from({ length: 3000 }, (_, at) => `ä line ${at}`), none: null };
  for (const value of [null, 0, "text", [], { a: [1, "ü"] }, large] as Json[]) {
    assert.deepEqual(unpackJson(packJson(value)), value);
  }
});

Deno.test("a large value takes a fraction of its text", () => {
  const large = Array.from({ length: 5000 }, (_, at) => ({ entry: `pg_class:${16384 + at}` }));
  const packed = packJson(large);
  assert.ok("packed" in packed && packed.packed.length * 5 < JSON.stringify(large).length);
});

Deno.test("a packed list gives back every value, in any order", () => {
  const list = new PackedList<{ at: number; text: string }>();
  const valueOf = (at: number) => ({ at, text: `value ${at}\n${"ä".repeat(at % 300)}` });
  const count = 20_000; // more packs than stay unpacked
  for (let at = 0; at < count; at++) assert.equal(list.push(valueOf(at)), at);
  assert.equal(list.length, count);
  for (let at = 0; at < count; at++) assert.deepEqual(list.at(at), valueOf(at));
  for (let step = 0; step < 500; step++) {
    const at = (step * 7919) % count;
    assert.deepEqual(list.at(at), valueOf(at));
  }
});
