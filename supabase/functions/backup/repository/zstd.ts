/**
 * zstd: the runtime's own where it has one, which takes half the CPU time, else in WebAssembly, started on
 * first use. Both write the same format.
 *
 * The package reads its module from its own folder, which exists under Deno and is part of what is
 * bundled for a hosted function.
 *
 * @module
 */
import * as zlib from "node:zlib";
import * as zstd from "@bokuweb/zstd-wasm";
import { concat } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";

/** What newer runtimes have in `node:zlib`. */
interface NativeZstd {
  zstdCompressSync(
    bytes: Uint8Array,
    options: { params: Record<number, number>; pledgedSrcSize: number; chunkSize: number },
  ): Uint8Array;
  zstdDecompressSync(
    bytes: Uint8Array,
    options: { maxOutputLength: number; chunkSize: number },
  ): Uint8Array;
  constants: { ZSTD_c_compressionLevel: number };
}

const native = "zstdCompressSync" in zlib ? zlib as unknown as NativeZstd : undefined;

/** Output is gathered in pieces of this size. */
const NATIVE_PIECE_BYTES = 1 << 20;

let starting: Promise<void> | undefined;

/** Compresses into one frame that states its content's size. @param level 1–19 */
export async function compressZstd(bytes: Uint8Array, level: number): Promise<Uint8Array> {
  if (native !== undefined) {
    return plain(native.zstdCompressSync(bytes, {
      params: { [native.constants.ZSTD_c_compressionLevel]: level },
      pledgedSrcSize: bytes.length,
      chunkSize: NATIVE_PIECE_BYTES,
    }));
  }
  await start();
  return zstd.compress(bytes, level);
}

/**
 * Undoes {@linkcode compressZstd}.
 *
 * @throws {Error} when the bytes are not a frame, or one whose header promises another length: memory is
 * taken by what the header says, so it is asked before
 */
export async function decompressZstd(bytes: Uint8Array, length: number): Promise<Uint8Array> {
  const promised = frameContentLength(bytes);
  if (promised !== BigInt(length)) throw new Error("the frame promises another length");
  if (native !== undefined) {
    const options = { maxOutputLength: Math.max(1, length), chunkSize: Math.max(64, length) };
    const content = plain(native.zstdDecompressSync(bytes, options));
    // It gives back what there is of a frame that was cut.
    if (content.length !== length) throw new Error("the frame has another length");
    return content;
  }
  await start();
  return zstd.decompress(bytes);
}

/** A Buffer's bytes as a plain array, without copying. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** What the header of a frame says of its content's length; null when it says nothing. */
function frameContentLength(bytes: Uint8Array): bigint | null {
  if (bytes.length < 18) bytes = concat([bytes, new Uint8Array(18)]); // the longest header
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0, true) !== 0xfd2fb528) return null;
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (single ? 0 : 1) + dictionaryBytes;
  switch (descriptor >> 6) {
    case 0:
      return single ? BigInt(view.getUint8(at)) : null;
    case 1:
      return BigInt(view.getUint16(at, true)) + 256n;
    case 2:
      return BigInt(view.getUint32(at, true));
    default:
      return view.getBigUint64(at, true);
  }
}

function start(): Promise<void> {
  starting ??= zstd.init().catch((cause: unknown) => {
    starting = undefined;
    throw new BackupError("internal", "Cannot start zstd: its WebAssembly module does not load", {
      hint: "Set the compression to gzip for new backups; those in zstd need the module.",
      cause,
    });
  });
  return starting;
}
