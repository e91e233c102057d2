import assert from "node:assert/strict";
import { z } from "zod";
import { describeIssues } from "./settings_words.ts";
import { mergeSettings, type SettingsPatch } from "./settings.ts";

function levelOf(...patches: SettingsPatch[]): number {
  return mergeSettings(patches.map((patch) => ({ name: "a test", patch }))).compressionLevel;
}

Deno.test("mergeSettings takes level 6 of either algorithm when nobody sets one", () => {
  assert.equal(levelOf(), 6);
  assert.equal(levelOf({ compressionAlgorithm: "gzip" }), 6);
});

Deno.test("mergeSettings keeps a level that is set, and refuses one that the algorithm lacks", () => {
  assert.equal(levelOf({ compressionLevel: 1 }), 1);
  assert.equal(levelOf({ compressionLevel: 19 }), 19);
  assert.equal(levelOf({ compressionLevel: 9 }, { compressionAlgorithm: "gzip" }), 9);
  assert.throws(
    () => levelOf({ compressionLevel: 19 }, { compressionAlgorithm: "gzip" }),
    /compressionLevel: gzip has levels 1 to 9/,
  );
});

Deno.test("describeIssues() says what lacks and what was expected in plain words", () => {
  const schema = z.object({
    a: z.number(),
    b: z.number(),
    c: z.enum(["1", "2", "3", "4", "5", "6", "7"]),
  });
  const { error } = schema.safeParse({ b: "x", c: "8" });
  assert.deepEqual(describeIssues(error!), [
    { path: "a", message: "is missing" },
    { path: "b", message: "must be a number" },
    { path: "c", message: "must be one of 1, 2, 3, 4, 5, 6 and 1 more" },
  ]);
});
