/**
 * The zstd library of the operating system, for programs of a host: it takes half the CPU time of the one
 * in WebAssembly, and nothing has to be compiled at the start of each thread.
 *
 * @module
 */
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { ZstdCodec } from "../../supabase/functions/backup/repository/mod.ts";
import { type LibraryPaths, openLibrary } from "./open_library.ts";

const LIBRARIES: LibraryPaths = {
  linux: ["libzstd.so.1"],
  darwin: ["/opt/homebrew/lib/libzstd.1.dylib", "/usr/local/lib/libzstd.1.dylib"],
};

const SYMBOLS = {
  ZSTD_createCCtx: { parameters: [], result: "pointer" },
  ZSTD_createDCtx: { parameters: [], result: "pointer" },
  ZSTD_compressBound: { parameters: ["usize"], result: "usize" },
  ZSTD_compressCCtx: {
    parameters: ["pointer", "buffer", "usize", "buffer", "usize", "i32"],
    result: "usize",
  },
  ZSTD_decompressDCtx: {
    parameters: ["pointer", "buffer", "usize", "buffer", "usize"],
    result: "usize",
  },
  ZSTD_isError: { parameters: ["usize"], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** The system's zstd; undefined where there is none, or where this program may not load it. */
export function nativeZstd(): ZstdCodec | undefined {
  const library = openLibrary(LIBRARIES, SYMBOLS);
  return library === undefined ? undefined : new NativeZstd(library);
}

/** It lives as long as its thread, and with it the library's memory. */
class NativeZstd implements ZstdCodec {
  readonly #library: Library;
  readonly #packing: Deno.PointerValue;
  readonly #unpacking: Deno.PointerValue;
  /** Frames are made in here, unless there is room elsewhere: a large buffer for each would keep the garbage collector busy. */
  #room = new Uint8Array(0);

  constructor(library: Library) {
    this.#library = library;
    this.#packing = library.ZSTD_createCCtx();
    this.#unpacking = library.ZSTD_createDCtx();
  }

  compress(bytes: Uint8Array, level: number, room?: Uint8Array): Uint8Array {
    const { ZSTD_compressBound, ZSTD_compressCCtx } = this.#library;
    const from = BigInt(bytes.length);
    const most = Number(ZSTD_compressBound(from));
    const fits = room !== undefined && room.length >= most;
    if (!fits && this.#room.length < most) this.#room = new Uint8Array(most);
    const frame = fits ? room : this.#room;
    const to = BigInt(frame.length);
    const written = ZSTD_compressCCtx(this.#packing, frame, to, bytes, from, level);
    if (this.#isError(written)) {
      throw new BackupError("internal", "Cannot compress bytes: the system's zstd refused them");
    }
    const length = Number(written);
    return fits ? frame.subarray(0, length) : frame.slice(0, length);
  }

  decompress(bytes: Uint8Array, length: number, room?: Uint8Array): Uint8Array {
    const content = room ?? new Uint8Array(length);
    const to = BigInt(length);
    const from = BigInt(bytes.length);
    const { ZSTD_decompressDCtx } = this.#library;
    const written = ZSTD_decompressDCtx(this.#unpacking, content, to, bytes, from);
    // What is wrong with a frame its reader says, as of the runtime's zstd.
    if (this.#isError(written)) throw new Error("zstd refuses the frame");
    return content.subarray(0, Number(written));
  }

  #isError(result: bigint): boolean {
    return this.#library.ZSTD_isError(result) !== 0;
  }
}
