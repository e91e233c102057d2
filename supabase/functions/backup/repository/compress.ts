/**
 * Compression of one object's content.
 *
 * @module
 */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { compressZstd, decompressZstd } from "./zstd.ts";
import type { Compression } from "./types.ts";

/** How content is held in an object. */
export type Algorithm = Compression["algorithm"];

const gzipAsync = promisify(gzip) as (
  bytes: Uint8Array,
  options: { level: number },
) => Promise<Uint8Array>;
const gunzipAsync = promisify(gunzip) as (
  bytes: Uint8Array,
  options: { maxOutputLength: number },
) => Promise<Uint8Array>;

/** Content that saves less than this share of its size is stored as it is. */
const WORTHWHILE = 0.97;
/** Larger content is tried on a sample first, so that images do not cost CPU time. */
const SAMPLE_BYTES = 64 * 1024;

/** Compresses, or leaves as it is what compression does not make smaller. */
export async function compress(
  bytes: Uint8Array,
  compression: Compression,
): Promise<{ algorithm: Algorithm; bytes: Uint8Array }> {
  const asItIs = { algorithm: "none" as const, bytes };
  if (compression.algorithm === "none" || bytes.length < 64) return asItIs;
  if (bytes.length > 4 * SAMPLE_BYTES) {
    const shares = [0.1, 0.5, 0.9].map((share) => Math.floor(bytes.length * share));
    let gain = false;
    for (const from of shares) {
      const sample = bytes.subarray(from, from + SAMPLE_BYTES);
      gain ||= (await run(sample, compression)).length < sample.length * WORTHWHILE;
    }
    if (!gain) return asItIs;
  }
  const smaller = await run(bytes, compression);
  if (smaller.length >= bytes.length * WORTHWHILE) return asItIs;
  return { algorithm: compression.algorithm, bytes: smaller };
}

/**
 * Undoes {@linkcode compress}. The bytes are authentic when this is called.
 * @throws {Error} when they are not what the algorithm writes or longer than `rawBytes`
 */
export async function decompress(
  bytes: Uint8Array,
  options: { algorithm: Algorithm; rawBytes: number },
): Promise<Uint8Array> {
  switch (options.algorithm) {
    case "none":
      return bytes;
    case "zstd":
      return await decompressZstd(bytes, options.rawBytes);
    case "gzip":
      return plain(await gunzipAsync(bytes, { maxOutputLength: Math.max(1, options.rawBytes) }));
  }
}

async function run(bytes: Uint8Array, { algorithm, level }: Compression): Promise<Uint8Array> {
  return algorithm === "gzip"
    ? plain(await gzipAsync(bytes, { level }))
    : await compressZstd(bytes, level);
}

/** A Buffer's bytes as a plain array, without copying. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
