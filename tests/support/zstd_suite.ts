/**
 * What every zstd has to do: its frames are read by the one in WebAssembly and the other way round.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { compress, decompress } from "../../supabase/functions/backup/repository/compress.ts";
import type { ZstdCodec } from "../../supabase/functions/backup/repository/mod.ts";
import { wasmZstd } from "../../supabase/functions/backup/repository/zstd.ts";

/** Lengths at which the header of a frame changes its form, and that of a full chunk. */
const LENGTHS = [0, 1, 63, 64, 255, 256, 300, 65_791, 65_792, 1_000_000, 8 << 20];

/** Makes the tests of one codec. */
export function testZstd(name: string, zstd: ZstdCodec): void {
  Deno.test(`${name} agrees with zstd in WebAssembly at every length`, async () => {
    for (const length of LENGTHS) {
      const sample = sampleOf(length);
      const frames = [await zstd.compress(sample, 1), await wasmZstd.compress(sample, 3)];
      for (const frame of frames) {
        assert.ok(equal(await unpack(frame, length), sample), `${length} bytes read by it`);
        assert.ok(
          equal(await wasmZstd.decompress(frame, length), sample),
          `${length} bytes read by WebAssembly`,
        );
      }
    }
  });

  Deno.test(`${name} gives results that later calls leave alone`, async () => {
    const samples = [sampleOf(300_000), sampleOf(200_000).reverse()];
    const frames = await Promise.all(samples.map((sample) => zstd.compress(sample, 1)));
    const contents = await Promise.all(frames.map((each, at) => unpack(each, samples[at]!.length)));
    contents.forEach((content, at) => assert.ok(equal(content, samples[at]!)));
  });

  Deno.test(`${name} makes the same in memory that it is given, whatever its length`, async () => {
    const sample = sampleOf(300_000);
    const frame = await zstd.compress(sample, 1);
    for (const bytes of [0, frame.length - 1, frame.length, 300_000, 400_000]) {
      const room = new Uint8Array(bytes).fill(7);
      assert.ok(equal(await zstd.compress(sample, 1, room), frame), `a frame in ${bytes}`);
      const options = { algorithm: "zstd", rawBytes: 300_000, zstd, room } as const;
      assert.ok(equal(await decompress(frame, options), sample), `content in ${bytes}`);
    }
  });

  Deno.test(`${name} makes a frame of what does not shrink`, async () => {
    const sample = crypto.getRandomValues(new Uint8Array(60_000));
    assert.ok(equal(await unpack(await zstd.compress(sample, 1), sample.length), sample));
  });

  Deno.test(`${name} refuses frames that are altered, cut or of another length`, async () => {
    const sample = sampleOf(1_000_000);
    const { bytes: frame } = await compress(sample, { algorithm: "zstd", level: 1, zstd });
    await assert.rejects(unpack(frame, sample.length - 1), /another length/);
    await assert.rejects(unpack(frame.subarray(0, frame.length - 10), sample.length));
    const altered = frame.slice();
    altered.fill(0xff, 20, 200);
    await assert.rejects(unpack(altered, sample.length));
    await assert.rejects(unpack(new Uint8Array(100), 100), /another length/);
  });

  function unpack(frame: Uint8Array, rawBytes: number): Promise<Uint8Array> {
    return decompress(frame, { algorithm: "zstd", rawBytes, zstd });
  }
}

function sampleOf(length: number): Uint8Array {
  const sample = new Uint8Array(length).fill(65);
  for (let at = 0; at < length; at += 7) sample[at] = at >> 3;
  return sample;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
