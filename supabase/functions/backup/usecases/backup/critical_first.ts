/**
 * Rows that matter most are copied before others: whatever ends a backup early has read them.
 *
 * @module
 */
import { matchesTable } from "../../core/match_pattern.ts";
import type { CopyRowsPayload } from "./copy_rows.ts";

/**
 * The same work, that on tables which the patterns name first. What is copied together stays together, so the
 * stored bytes are the same.
 */
export function criticalFirst<Work extends { payload: Pick<CopyRowsPayload, "tables"> }>(
  work: readonly Work[],
  patterns: readonly string[],
): Work[] {
  const { first = [], rest = [] } = Object.groupBy(
    work,
    ({ payload }) => isCritical(payload, patterns) ? "first" : "rest",
  );
  return [...first, ...rest];
}

/** Whether a table that the patterns name is among those of a part. */
export function isCritical(
  { tables }: Pick<CopyRowsPayload, "tables">,
  patterns: readonly string[],
): boolean {
  return Object.values(tables).some(({ table }) =>
    table !== null && matchesTable(patterns, table.sqlName)
  );
}
