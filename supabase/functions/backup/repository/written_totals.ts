/**
 * Sums over what was written.
 *
 * @module
 */
import type { WrittenChunk, WrittenTotals } from "./types.ts";

/** Nothing written yet. */
export function noTotals(): WrittenTotals {
  return { chunks: 0, newChunks: 0, rawBytes: 0, newStoredBytes: 0 };
}

/** Counts a chunk. */
export function addChunk(totals: WrittenTotals, chunk: WrittenChunk): void {
  totals.chunks++;
  totals.newChunks += chunk.created ? 1 : 0;
  totals.rawBytes += chunk.rawBytes;
  totals.newStoredBytes += chunk.storedBytes;
}

/** What was written between two looks at the same sums. */
export function writtenSince(before: WrittenTotals, after: WrittenTotals): WrittenTotals {
  return combine(after, before, (a, b) => a - b);
}

/** All of them together. */
export function sumOfWritten(all: readonly WrittenTotals[]): WrittenTotals {
  return all.reduce((sum, each) => combine(sum, each, (a, b) => a + b), noTotals());
}

function combine(
  a: WrittenTotals,
  b: WrittenTotals,
  of: (a: number, b: number) => number,
): WrittenTotals {
  return {
    chunks: of(a.chunks, b.chunks),
    newChunks: of(a.newChunks, b.newChunks),
    rawBytes: of(a.rawBytes, b.rawBytes),
    newStoredBytes: of(a.newStoredBytes, b.newStoredBytes),
  };
}
