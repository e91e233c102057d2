/**
 * What one scan in the server says of the rows of a range: their number, their fingerprint, and about how
 * many bytes they are.
 *
 * @module
 */
import type { RowsFingerprint } from "../../core/model.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";
import type { TableRange } from "./copy_part.ts";
import { fromRange } from "./range_sql.ts";
import { isSurelyBelow, sizeExpressions, sumOfSizes } from "./row_size.ts";
import { inSavepoint } from "./savepoint.ts";

/** Facts of the rows of one range. */
export interface RangeFacts {
  fingerprint: RowsFingerprint | null;
  /** Estimate of the values' length before compression; 0 where it is not worth asking. */
  bytes: number;
}

/**
 * Reads them for several ranges in one round trip, in their order.
 *
 * @param askAbove bytes that matter: those of a table that cannot have so many are not estimated
 * @throws {DatabaseError} also for a row that the server cannot put together: see {@linkcode readFactsOf}
 */
export async function readRangeFacts(
  session: Session,
  ranges: readonly TableRange[],
  { askAbove = 0 }: { askAbove?: number } = {},
): Promise<RangeFacts[]> {
  const queries = ranges.map((range, at) => factsQuery(range, { at, askAbove }));
  const facts: RangeFacts[] = ranges.map(() => ({ fingerprint: null, bytes: 0 }));
  for (const row of await session.query(queries.join("\nUNION ALL "))) {
    facts[Number(row.at)] = {
      fingerprint: row.sum === null ? null : { rows: row.rows, sum: row.sum },
      bytes: Number(row.bytes),
    };
  }
  return facts;
}

/** Those of one range; of rows that are too large to be hashed nothing is known. */
export async function readFactsOf(session: Session, range: TableRange): Promise<RangeFacts> {
  try {
    const [facts] = await inSavepoint(session, () => readRangeFacts(session, [range]));
    return facts!;
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    return { fingerprint: null, bytes: Infinity };
  }
}

/** What to say of a table with such rows. */
export function tooLargeRemark(sqlName: string): string {
  return `Rows of ${sqlName} are too large for a fingerprint: they are compared by number only`;
}

/** Whether the server could not put a row together for hashing. */
export function isTooLarge(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  return error.sqlState === "54000" || error.sqlState === "53200" ||
    (error.sqlState === "XX000" && /invalid memory alloc request size/.test(error.message));
}

function factsQuery(
  { table, data, range }: TableRange,
  { at, askAbove }: { at: number; askAbove: number },
): string {
  const { fingerprintExpression: hash } = data;
  const sum = hash === null
    ? "NULL::pg_catalog.text"
    : `coalesce(sum(${hash}::pg_catalog.int8), 0)::pg_catalog.text`;
  const sizes = isSurelyBelow(table, askAbove) ? [] : sizeExpressions(table);
  const bytes = sizes.length === 0 ? "0" : sumOfSizes(sizes);
  return `SELECT ${at} AS at, count(*)::pg_catalog.text AS rows, ${sum} AS sum,
       (${bytes})::pg_catalog.float8 AS bytes ${fromRange(table, range)}`;
}
