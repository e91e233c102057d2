/**
 * Short ASCII words out of bytes. Catalogs are full of them, mostly the same ones again: comparing a word
 * with the one read before costs less than making it, and less memory than having it twice.
 *
 * @module
 */

/** Longer words come seldom, and hardly ever twice. */
const LONGEST = 24;
/** A power of two. */
const PLACES = 2048;

const words: string[] = new Array(PLACES).fill("");

/** The word in the bytes from `from` up to `to`; undefined when it is long or not of ASCII alone. */
export function shortWord(bytes: Uint8Array, from: number, to: number): string | undefined {
  const length = to - from;
  if (length > LONGEST) return undefined;
  let hash = length;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte > 127) return undefined;
    hash = Math.imul(hash, 31) + byte;
  }
  const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
  const known = words[place]!;
  if (isWord(known, bytes, from, length)) return known;
  return words[place] = String.fromCharCode.apply(
    null,
    bytes.subarray(from, to) as unknown as number[],
  );
}

function isWord(word: string, bytes: Uint8Array, from: number, length: number): boolean {
  if (word.length !== length) return false;
  for (let at = 0; at < length; at++) {
    if (word.charCodeAt(at) !== bytes[from + at]) return false;
  }
  return true;
}
