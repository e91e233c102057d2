/**
 * How far into each chunk lists reach, in little memory: 12 bytes for each chunk. Names are known by their
 * first 16 digits, which are alike in two of a million chunks with odds of one in 2^25; one that is missing
 * would then go unnoticed if the other is there.
 *
 * @module
 */
import { fromBase64, toBase64 } from "../core/bytes.ts";

/** Bytes of a name, and of how far. */
const ENTRY_BYTES = 12;
/** No chunk reaches so far: what says so is told with this end, which is just as wrong. */
const MOST_END = 0xffff_ffff;

/** Parts of all names, by their first digit. */
export const DIGITS: readonly string[] = [..."0123456789abcdef"];

/** By {@linkcode keyOf}. */
export type ChunkEnds = Map<bigint, number>;

/** What a chunk is known by here. @param name hexadecimal digits, at least 16 */
export function keyOf(name: string): bigint {
  return BigInt(`0x${name.slice(0, 16)}`);
}

/** Notes that a list reaches so far into a chunk. */
export function noteEnd(ends: ChunkEnds, key: bigint, end: number): void {
  ends.set(key, Math.max(ends.get(key) ?? 0, Math.min(end, MOST_END)));
}

/** The ends as text, apart by the first digit of the names; survives JSON. */
export function packEnds(ends: ChunkEnds): string[] {
  const byDigit: [bigint, number][][] = DIGITS.map(() => []);
  for (const entry of ends) byDigit[Number(entry[0] >> 60n)]!.push(entry);
  return byDigit.map((entries) => {
    const view = new DataView(new ArrayBuffer(entries.length * ENTRY_BYTES));
    entries.forEach(([key, end], index) => {
      view.setBigUint64(index * ENTRY_BYTES, key);
      view.setUint32(index * ENTRY_BYTES + 8, end);
    });
    return toBase64(new Uint8Array(view.buffer));
  });
}

/** Adds what {@linkcode packEnds} made for one digit. */
export function addPacked(ends: ChunkEnds, packed: string): void {
  const bytes = fromBase64(packed);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    noteEnd(ends, view.getBigUint64(at), view.getUint32(at + 8));
  }
}
