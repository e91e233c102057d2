import assert from "node:assert/strict";
import { utf8 } from "./bytes.ts";
import { compareKeys } from "./items.ts";

Deno.test("compareKeys() sorts by bucket, then by the bytes of the name", () => {
  const keys = [
    "a",
    "a-b/x",
    "a/z",
    "a/\u{1f600}",
    "a/\uffee",
    "a/é",
    "a/",
    "b/a",
    "a b/c",
    "a/a/b",
  ];
  const bytes = (key: string) => {
    const at = key.indexOf("/");
    return at < 0 ? [...utf8(key)] : [...utf8(key.slice(0, at)), -1, ...utf8(key.slice(at + 1))];
  };
  const byBytes = (a: string, b: string) => {
    const [left, right] = [bytes(a), bytes(b)];
    for (let at = 0;; at++) {
      const difference = (left[at] ?? -2) - (right[at] ?? -2);
      if (difference !== 0 || left[at] === undefined) return difference;
    }
  };
  assert.deepEqual(keys.toSorted(compareKeys), keys.toSorted(byBytes));
  assert.equal(compareKeys("a/b", "a/b"), 0);
});
