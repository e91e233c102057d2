/**
 * zstd in WebAssembly, started on first use.
 *
 * The package reads its module from its own folder, which exists under Deno and is part of what is
 * bundled for a hosted function.
 *
 * @module
 */
import * as zstd from "@bokuweb/zstd-wasm";
import { BackupError } from "../core/errors.ts";

let starting: Promise<void> | undefined;

/** Compresses into one frame that states its content's size. @param level 1–19 */
export async function compressZstd(bytes: Uint8Array, level: number): Promise<Uint8Array> {
  await start();
  return zstd.compress(bytes, level);
}

/** Undoes {@linkcode compressZstd}. @throws {Error} when the bytes are not a frame */
export async function decompressZstd(bytes: Uint8Array): Promise<Uint8Array> {
  await start();
  return zstd.decompress(bytes);
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
