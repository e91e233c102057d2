/**
 * What a backup holds and what storing it took, put together from its parts.
 *
 * @module
 */
import { type BackupTotals, sumOfWritten, type WrittenTotals } from "../../repository/mod.ts";
import type { CopyRowsResult } from "./copy_rows.ts";
import type { ReadDefinitions } from "./definitions_in_parts.ts";

/** Sums of a manifest. @param last what was written besides definitions and rows */
export function totalsOf(
  { counts, written }: ReadDefinitions,
  results: readonly CopyRowsResult[],
  last: WrittenTotals,
): BackupTotals {
  const parts = results.flatMap((result) => result.parts);
  const { newStoredBytes, chunks, newChunks } = sumOfWritten([
    written,
    ...results.map((result) => result.written),
    last,
  ]);
  return {
    entries: counts.entries,
    tables: counts.tables,
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    rawBytes: counts.sqlBytes + parts.reduce((sum, part) => sum + part.rawBytes, 0),
    ...{ newStoredBytes, chunks, newChunks },
  };
}
