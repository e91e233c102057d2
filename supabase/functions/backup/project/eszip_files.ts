/**
 * Looks into the bundle of an Edge Function, as far as a restore has to know.
 *
 * @module
 */
import { brotliDecompressSync } from "node:zlib";
import { utf8 } from "../core/bytes.ts";

/** What stands before a compressed bundle. */
export const COMPRESSED_MAGIC = utf8("EZBR");

/** What stands before the one that is not, with a version behind. */
const MAGIC = utf8("ESZIP");

/** The names of all that is in a bundle stand at its beginning; no project has more of them. */
const NAMES_BYTES = 4 * 1024 * 1024;
const STATIC = utf8("static:");

/**
 * Paths of the static files in a bundle. The list of names has entries of a length in four bytes, the
 * name, and a zero for what is a file; a static file's name begins with `static:`.
 *
 * @returns null for what is no such bundle, or a broken one
 */
export function staticFilesIn(bundle: Uint8Array): string[] | null {
  const plain = isCompressed(bundle) ? decompress(bundle) : bundle;
  // Some runtimes decompress what is broken without a word.
  if (plain === null || !startsWith(plain, MAGIC)) return null;
  const names = plain.subarray(0, NAMES_BYTES);
  const view = new DataView(names.buffer, names.byteOffset, names.byteLength);
  const decoder = new TextDecoder();
  const paths = new Set<string>();
  const first = STATIC[0] as number;
  for (let at = names.indexOf(first, 4); at !== -1; at = names.indexOf(first, at + 1)) {
    if (!STATIC.every((byte, i) => names[at + i] === byte)) continue;
    const length = view.getUint32(at - 4);
    if (length <= STATIC.length || length > 4096 || names[at + length] !== 0) continue;
    paths.add(decoder.decode(names.subarray(at + STATIC.length, at + length)));
  }
  return [...paths].sort();
}

/** Whether a bundle has the form in which bundles are uploaded. */
export function isCompressed(bundle: Uint8Array): boolean {
  return startsWith(bundle, COMPRESSED_MAGIC);
}

function startsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  return magic.every((byte, at) => bytes[at] === byte);
}

function decompress(bundle: Uint8Array): Uint8Array | null {
  try {
    return new Uint8Array(brotliDecompressSync(bundle.slice(COMPRESSED_MAGIC.length)));
  } catch {
    return null; // the only thing that can be wrong is the bundle
  }
}
