/**
 * zstd as the runtime has it: its own where there is one, which takes half the CPU time, else in
 * WebAssembly, loaded on first use. All write the same format.
 *
 * The package reads its module from its own folder, which exists under Deno and is part of what is
 * bundled for a hosted function.
 *
 * @module
 */
import * as zlib from "node:zlib";
import { BackupError } from "../core/errors.ts";
import type { ZstdCodec } from "./types.ts";

/** What newer runtimes have in `node:zlib`. */
interface NodeZstd {
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

/** Output is gathered in pieces of this size. */
const PIECE_BYTES = 1 << 20;

let starting: ReturnType<typeof startWasm> | undefined;

/** In WebAssembly, which every runtime has. */
export const wasmZstd: ZstdCodec = {
  compress: async (bytes, level) => (await wasm()).compress(bytes, level),
  decompress: async (bytes) => (await wasm()).decompress(bytes),
};

/** The best that this runtime has by itself. */
export const runtimeZstd: ZstdCodec = "zstdCompressSync" in zlib
  ? nodeZstd(zlib as unknown as NodeZstd)
  : wasmZstd;

function nodeZstd(node: NodeZstd): ZstdCodec {
  return {
    compress(bytes, level) {
      return plain(node.zstdCompressSync(bytes, {
        params: { [node.constants.ZSTD_c_compressionLevel]: level },
        pledgedSrcSize: bytes.length,
        chunkSize: PIECE_BYTES,
      }));
    },
    decompress(bytes, length) {
      const options = { maxOutputLength: Math.max(1, length), chunkSize: Math.max(64, length) };
      return plain(node.zstdDecompressSync(bytes, options));
    },
  };
}

/** Started once: a second start would exchange the module under whoever is using it. */
function wasm(): ReturnType<typeof startWasm> {
  if (starting === undefined) {
    starting = startWasm();
    starting.catch(() => starting = undefined);
  }
  return starting;
}

async function startWasm() {
  try {
    const zstd = await import("@bokuweb/zstd-wasm");
    await zstd.init();
    return zstd;
  } catch (cause) {
    throw new BackupError("internal", "Cannot start zstd: its WebAssembly module does not load", {
      hint: "Set the compression to gzip for new backups; those in zstd need the module.",
      cause,
    });
  }
}

/** A Buffer's bytes as a plain array, without copying. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
