import assert from "node:assert/strict";
import { NumberMap } from "./number_map.ts";

Deno.test("a map of numbers knows what it was given and nothing else, also after it has grown", () => {
  const map = new NumberMap();
  const peer = new Map<number, number>();
  for (let at = 0; at < 5000; at++) {
    // Oids lie side by side, as far apart as a slice is long, and beyond 2^31 and 2^32.
    const key = [at, at * 4096, 2 ** 31 + at, 2 ** 32 * at + 7][at % 4]!;
    map.set(key, at);
    peer.set(key, at);
  }
  for (const [key, value] of peer) assert.equal(map.get(key), value);
  for (const key of [-1, 5001, 2 ** 31 - 1, 2 ** 32 * 2 + 8]) assert.equal(map.get(key), undefined);
});

Deno.test("a key that is set again has the later value", () => {
  const map = new NumberMap();
  map.set(0, 0);
  map.set(0, 7);
  assert.equal(map.get(0), 7);
});
