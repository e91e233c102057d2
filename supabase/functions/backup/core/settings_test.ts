import assert from "node:assert/strict";
import { mergeSettings, type SettingsPatch } from "./settings.ts";

function levelOf(...patches: SettingsPatch[]): number {
  return mergeSettings(patches.map((patch) => ({ name: "a test", patch }))).compressionLevel;
}

Deno.test("mergeSettings takes the level that suits the algorithm when nobody sets one", () => {
  assert.equal(levelOf(), 1);
  assert.equal(levelOf({ compressionAlgorithm: "gzip" }), 6);
  assert.equal(levelOf({ compressionAlgorithm: "gzip" }, { compressionAlgorithm: "zstd" }), 1);
});

Deno.test("mergeSettings keeps a level that is set, and refuses one that the algorithm lacks", () => {
  assert.equal(levelOf({ compressionLevel: 6 }), 6);
  assert.equal(levelOf({ compressionLevel: 9 }, { compressionAlgorithm: "gzip" }), 9);
  assert.throws(
    () => levelOf({ compressionLevel: 19 }, { compressionAlgorithm: "gzip" }),
    /compressionLevel: gzip has levels 1 to 9/,
  );
});
