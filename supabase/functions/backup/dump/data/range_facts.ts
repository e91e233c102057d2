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
import { sizeExpressions } from "./row_size.ts";

/** Facts of the rows of one range. */
export interface RangeFacts {
  fingerprint: RowsFingerprint | null;
  /** Estimate of the values' length before compression. */
  bytes: number;
}

/**
 * Reads them for several ranges in one round trip, in their order.
 *
 * @throws {DatabaseError} also for a row that the server cannot put together: see {@linkcode isTooLarge}
 */
export async function readRangeFacts(
  session: Session,
  ranges: readonly TableRange[],
): Promise<RangeFacts[]> {
  const queries = ranges.map((range, index) => factsQuery(range, index));
  const facts: RangeFacts[] = ranges.map(() => ({ fingerprint: null, bytes: 0 }));
  for (const row of await session.query(queries.join("\nUNION ALL "))) {
    facts[Number(row.at)] = {
      fingerprint: row.sum === null ? null : { rows: row.rows, sum: row.sum },
      bytes: Number(row.bytes),
    };
  }
  return facts;
}

/** Whether the server could not put a row together for hashing. */
export function isTooLarge(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  return error.sqlState === "54000" || error.sqlState === "53200" ||
    (error.sqlState === "XX000" && /invalid memory alloc request size/.test(error.message));
}

function factsQuery({ table, data, range }: TableRange, index: number): string {
  const { fingerprintExpression: hash } = data;
  const sum = hash === null
    ? "NULL::pg_catalog.text"
    : `coalesce(sum(${hash}::pg_catalog.int8), 0)::pg_catalog.text`;
  const sizes = sizeExpressions(table);
  const bytes = sizes.length === 0 ? "0" : `coalesce(sum(${sizes.join(" + ")}), 0)`;
  return `SELECT ${index} AS at, count(*)::pg_catalog.text AS rows, ${sum} AS sum,
       ${bytes}::pg_catalog.float8 AS bytes ${fromRange(table, range)}`;
}
