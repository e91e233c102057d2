import assert from "node:assert/strict";
import { brotliCompressSync } from "node:zlib";
import { concat, utf8 } from "../core/bytes.ts";
import { staticFilesIn } from "./eszip_files.ts";

function named(name: string, kind = 0): Uint8Array {
  const bytes = utf8(name);
  return concat([
    new Uint8Array([0, 0, bytes.length >> 8, bytes.length & 255]),
    bytes,
    new Uint8Array([kind]),
  ]);
}

const BUNDLE = concat([
  utf8("ESZIP2.3"),
  named("source/index.ts"),
  named("static:source/ä.txt"),
  named("static:source/folder/b.html"),
  named("static:a redirection", 1),
  named("static:"),
  utf8('const text = "static:this is code";'),
]);

Deno.test("staticFilesIn() tells the static files of a bundle and nothing that only looks like one", () => {
  assert.deepEqual(staticFilesIn(BUNDLE), ["source/folder/b.html", "source/ä.txt"]);
  assert.deepEqual(staticFilesIn(concat([new Uint8Array(77), BUNDLE]).subarray(77)), [
    "source/folder/b.html",
    "source/ä.txt",
  ]);
  assert.deepEqual(staticFilesIn(utf8("ESZIP2.3static:")), []);
});

Deno.test("staticFilesIn() looks into a compressed bundle, and says of what is none that it cannot", () => {
  const compressed = concat([utf8("EZBR"), new Uint8Array(brotliCompressSync(BUNDLE))]);
  assert.deepEqual(staticFilesIn(compressed), ["source/folder/b.html", "source/ä.txt"]);
  for (const none of ["EZBR, but not compressed at all", "{}", ""]) {
    assert.equal(staticFilesIn(utf8(none)), null);
  }
});
