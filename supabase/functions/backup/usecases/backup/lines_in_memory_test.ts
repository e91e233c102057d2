import assert from "node:assert/strict";
import { pickLines } from "../../repository/mod.ts";
import { linesInMemory } from "./lines_in_memory.ts";

const VALUES = Array.from(
  { length: 5000 },
  (_, at) => ({ at, text: `line ${at}\nof "many" ${"ä".repeat(at % 400)}` }),
);

Deno.test("linesInMemory() gives back what it was given, list by list, in packs", async () => {
  const store = linesInMemory();
  const all = await store.writeLines(VALUES);
  const none = await store.writeLines([]);
  const one = await store.writeLines(["another"]);
  assert.equal(all.lines, VALUES.length);
  assert.ok(all.chunks.length > 3);
  assert.deepEqual(await Array.fromAsync(store.readLines(all)), VALUES);
  assert.deepEqual(none, { lines: 0, chunks: [] });
  assert.deepEqual(await Array.fromAsync(store.readLines(none)), []);
  assert.deepEqual(await Array.fromAsync(store.readLines(one)), ["another"]);
});

Deno.test("linesInMemory() lets single lines be picked by their numbers", async () => {
  const store = linesInMemory();
  const ref = await store.writeLines(VALUES);
  const picked = await pickLines(store, { ref, numbers: [4999, 0, 2500] });
  assert.deepEqual(picked, new Map([0, 2500, 4999].map((at) => [at, VALUES[at]])));
});
