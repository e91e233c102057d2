/**
 * zstd in WebAssembly, started on first use.
 *
 * The package reads its module from its own folder, which exists under Deno and is part of what is
 * bundled for a hosted function.
 *
 * @module
 */
import * as zstd from "@bokuweb/zstd-wasm";
import { concat } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";

let starting: Promise<void> | undefined;

/** Compresses into one frame that states its content's size. @param level 1–19 */
export async function compressZstd(bytes: Uint8Array, level: number): Promise<Uint8Array> {
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
  await start();
  return zstd.decompress(bytes);
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
