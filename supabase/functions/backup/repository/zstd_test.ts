import assert from "node:assert/strict";
import * as wasm from "@bokuweb/zstd-wasm";
import { compressZstd, decompressZstd } from "./zstd.ts";

const SAMPLES = [0, 1, 63, 64, 255, 256, 300, 65_791, 65_792, 1_000_000, 8 << 20].map((length) =>
  Uint8Array.from({ length }, (_, at) => at % 7 === 0 ? at >> 3 : 65)
);

Deno.test("compressZstd() and decompressZstd() agree with zstd in WebAssembly at every length", async () => {
  await wasm.init();
  for (const sample of SAMPLES) {
    const own = await compressZstd(sample, 1);
    assert.ok(equal(await decompressZstd(own, sample.length), sample), `${sample.length} bytes`);
    assert.ok(equal(wasm.decompress(own), sample), `${sample.length} bytes read by WebAssembly`);
    const other = wasm.compress(sample, 3);
    assert.ok(equal(await decompressZstd(other, sample.length), sample), "written by WebAssembly");
  }
});

Deno.test("decompressZstd() refuses frames that are altered, cut or of another length", async () => {
  const sample = SAMPLES.at(-2)!;
  const frame = await compressZstd(sample, 1);
  await assert.rejects(decompressZstd(frame, sample.length - 1), /another length/);
  await assert.rejects(decompressZstd(frame.subarray(0, frame.length - 10), sample.length));
  await assert.rejects(decompressZstd(new Uint8Array(100), 100), /another length/);
});

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
