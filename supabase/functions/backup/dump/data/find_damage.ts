/**
 * Finds the rows of a range that the server cannot read.
 *
 * @module
 */
import type { TableData, TableFacts } from "../../core/model.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";
import { copyRange } from "./range_sql.ts";
import type { DataRange } from "./ranges.ts";

/** A place that cannot be read: a row, or a whole page as `(n,*)`. */
export interface Damage {
  ctid: string;
  reason: string;
}

/** More rows than this no page can hold, whatever its size (32 KiB at most). */
const MAX_TUPLES = 2048;

/** Whether the server says that stored data is damaged. */
export function isDamage(error: unknown): error is DatabaseError {
  if (!(error instanceof DatabaseError) || error.fatal) return false;
  if (error.sqlState === "XX001" || error.sqlState === "XX002" || error.sqlState === "58030") {
    return true;
  }
  // Damaged lengths and pointers surface as internal errors of several kinds.
  return error.sqlState === "XX000" || error.sqlState === "58P01";
}

/**
 * Splits a range into readable ranges and damaged places, by trying halves: first of pages, then of the
 * rows of a page. What is tried is read in full and thrown away.
 */
export async function findDamage(
  session: Session,
  { table, data, range }: { table: TableFacts; data: TableData; range: DataRange },
): Promise<{ good: DataRange[]; damaged: Damage[] }> {
  const good: DataRange[] = [];
  const damaged: Damage[] = [];
  const pagesNow = async () => {
    const [row] = await session.query(
      "SELECT (pg_catalog.pg_relation_size($1::pg_catalog.regclass) / " +
        "pg_catalog.current_setting('block_size')::pg_catalog.int8) AS pages",
      [table.sqlName],
    );
    return Number(row?.pages ?? 0);
  };
  const reasonOf = async (part: DataRange): Promise<string | null> => {
    await session.execute("SAVEPOINT trying");
    try {
      await session.copyOut(copyRange(table, data, part), () => {});
      await session.execute("RELEASE SAVEPOINT trying");
      return null;
    } catch (error) {
      if (!isDamage(error)) throw error;
      await session.execute("ROLLBACK TO SAVEPOINT trying; RELEASE SAVEPOINT trying");
      return error.facts.serverMessage;
    }
  };
  const tryTuples = async (page: number, from: number, to: number): Promise<void> => {
    const last = to >= MAX_TUPLES;
    const part: DataRange = {
      entry: range.entry,
      pages: { from: page, to: page + 1 },
      tuples: { from, to: last ? null : to },
    };
    const reason = await reasonOf(part);
    if (reason === null) {
      good.push(part);
    } else if (to - from <= 1) {
      damaged.push({ ctid: `(${page},${from})`, reason });
    } else {
      const middle = from + ((to - from) >> 1);
      await tryTuples(page, from, middle);
      await tryTuples(page, middle, to);
    }
  };
  const tryPages = async (from: number, to: number): Promise<void> => {
    const part: DataRange = { entry: range.entry, pages: { from, to } };
    const reason = await reasonOf(part);
    if (reason === null) {
      good.push(part);
    } else if (to - from > 1) {
      const middle = from + ((to - from) >> 1);
      await tryPages(from, middle);
      await tryPages(middle, to);
    } else if (await reasonOf(firstRow(range.entry, from)) === reason) {
      // Not even a place that holds no row or another row can be read: it is the page itself.
      const empty = { ...firstRow(range.entry, from), tuples: { from: MAX_TUPLES - 1, to: null } };
      if (await reasonOf(empty) !== null) damaged.push({ ctid: `(${from},*)`, reason });
      else await tryTuples(from, 1, MAX_TUPLES);
    } else {
      await tryTuples(from, 1, MAX_TUPLES);
    }
  };
  if (range.tuples !== undefined) {
    await tryTuples(range.pages!.from, range.tuples.from, range.tuples.to ?? MAX_TUPLES);
    return { good, damaged };
  }
  const end = range.pages?.to ?? Math.max(await pagesNow(), (range.pages?.from ?? 0) + 1);
  await tryPages(range.pages?.from ?? 0, end);
  return { good: merge(good), damaged };
}

function firstRow(entry: string, page: number): DataRange {
  return { entry, pages: { from: page, to: page + 1 }, tuples: { from: 1, to: 2 } };
}

/** Joins neighbours, so that a part is not cut finer than the damage demands. */
function merge(ranges: readonly DataRange[]): DataRange[] {
  const merged: DataRange[] = [];
  for (const range of ranges) {
    const before = merged[merged.length - 1];
    const samePage = before?.pages?.from === range.pages?.from;
    if (before?.tuples && range.tuples && samePage && before.tuples.to === range.tuples.from) {
      merged[merged.length - 1] = { ...before, tuples: { ...before.tuples, to: range.tuples.to } };
    } else if (
      before?.pages && range.pages && !before.tuples && !range.tuples &&
      before.pages.to === range.pages.from
    ) {
      merged[merged.length - 1] = { ...before, pages: { ...before.pages, to: range.pages.to } };
    } else {
      merged.push(range);
    }
  }
  return merged;
}
