/**
 * Compression of one object's content.
 *
 * @module
 */
import { promisify } from "node:util";
import { gunzip, gzip as runtimeGzip } from "node:zlib";
import type { Compression, GzipCompress, ZstdCodec } from "./types.ts";
import { runtimeZstd } from "./zstd.ts";
import { frameContentLength } from "./zstd_frame.ts";

/** How content is held in an object. */
export type Algorithm = Compression["algorithm"];

const gzipAsync = promisify(runtimeGzip) as (
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

/** How {@linkcode compress} does it. */
export interface CompressOptions extends Compression {
  zstd?: ZstdCodec | undefined;
  gzip?: GzipCompress | undefined;
  /** Memory that what is smaller may be put into. */
  room?: Uint8Array | undefined;
}

/** Compresses, or leaves as it is what compression does not make smaller. */
export async function compress(
  bytes: Uint8Array,
  compression: CompressOptions,
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

/** What {@linkcode decompress} is told of the content. */
export interface DecompressOptions {
  algorithm: Algorithm;
  rawBytes: number;
  zstd?: ZstdCodec | undefined;
  /** Memory that the content may be put into, if it is long enough. */
  room?: Uint8Array | undefined;
}

/**
 * Undoes {@linkcode compress}. The bytes are authentic when this is called.
 * @throws {Error} when they are not what the algorithm writes or longer than `rawBytes`
 */
export async function decompress(
  bytes: Uint8Array,
  options: DecompressOptions,
): Promise<Uint8Array> {
  switch (options.algorithm) {
    case "none":
      return bytes;
    case "zstd":
      return await decompressZstd(bytes, options);
    case "gzip":
      return plain(await gunzipAsync(bytes, { maxOutputLength: Math.max(1, options.rawBytes) }));
  }
}

async function run(bytes: Uint8Array, options: CompressOptions): Promise<Uint8Array> {
  const { algorithm, level, zstd = runtimeZstd, gzip, room } = options;
  if (algorithm === "zstd") return await zstd.compress(bytes, level, room);
  return gzip === undefined ? plain(await gzipAsync(bytes, { level })) : gzip(bytes, level);
}

/** Memory is taken by what the frame's header says, so it is asked before. */
async function decompressZstd(
  bytes: Uint8Array,
  { rawBytes, zstd = runtimeZstd, room }: DecompressOptions,
): Promise<Uint8Array> {
  if (frameContentLength(bytes) !== BigInt(rawBytes)) {
    throw new Error("the frame promises another length");
  }
  const fitting = room !== undefined && room.length >= rawBytes ? room : undefined;
  const content = await zstd.decompress(bytes, rawBytes, fitting);
  // Some give back what there is of a frame that was cut.
  if (content.length !== rawBytes) throw new Error("the frame has another length");
  return content;
}

/** A Buffer's bytes as a plain array, without copying. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
