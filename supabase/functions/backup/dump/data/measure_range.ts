/**
 * Cuts a range again where its values are larger than the average said.
 *
 * @module
 */
import type { TableFacts } from "../../core/model.ts";
import type { Session } from "../../postgres/session.ts";
import { fromRange } from "./range_sql.ts";
import type { DataLimits, DataRange } from "./ranges.ts";
import { rowSize, sizeExpressions } from "./row_size.ts";

/**
 * Ranges that together are the given one, each of an estimated size below the limit as far as rows
 * allow: halves of page ranges down to one page, then runs of rows of that page, down to one row.
 */
export async function measureRange(
  session: Session,
  table: TableFacts,
  options: { range: DataRange; limits: DataLimits },
): Promise<DataRange[]> {
  const { range, limits } = options;
  const sizes = sizeExpressions(table);
  if (sizes.length === 0 || table.accessMethod !== "heap") return [range];
  const from = fromRange(table, range);
  const rows = await session.query(
    `SELECT page::pg_catalog.int8 AS page, sum(bytes)::pg_catalog.float8 AS bytes
       FROM (SELECT (t.ctid::pg_catalog.text::pg_catalog.point)[0] AS page, ${
      rowSize(sizes)
    } AS bytes ${from}) AS s GROUP BY 1 ORDER BY 1`,
  );
  const pages = rows.map((row) => ({ page: Number(row.page), bytes: Number(row.bytes) }));
  const total = pages.reduce((sum, page) => sum + page.bytes, 0);
  if (total <= limits.maxPartBytes || pages.length === 0) return [range];
  const start = range.pages?.from ?? 0;
  const last = pages[pages.length - 1]!.page;
  const cutPages = halve(pages, { from: start, to: range.pages?.to ?? null, last }, limits);
  const ranges: DataRange[] = [];
  for (const piece of cutPages) {
    const single = piece.bytes > limits.maxPartBytes;
    const cut: DataRange = { entry: range.entry, pages: { from: piece.from, to: piece.to } };
    if (single) ranges.push(...await cutPage(session, table, { range: cut, sizes, limits }));
    else ranges.push(cut);
  }
  return ranges;
}

interface PageRun {
  from: number;
  to: number | null;
  bytes: number;
}

/** Halves at powers of two, so that the cuts lie where they lay before. */
function halve(
  pages: readonly { page: number; bytes: number }[],
  run: { from: number; to: number | null; last: number },
  limits: DataLimits,
): PageRun[] {
  const inside = pages.filter((p) => p.page >= run.from && (run.to === null || p.page < run.to));
  const bytes = inside.reduce((sum, page) => sum + page.bytes, 0);
  const end = run.to ?? run.last + 1;
  if (bytes <= limits.maxPartBytes || end - run.from <= 1) {
    if (run.to !== null || bytes <= limits.maxPartBytes) {
      return [{ from: run.from, to: run.to, bytes }];
    }
    // The last page alone is too large: its rows are cut, and what may follow it stays open.
    return [{ from: run.from, to: end, bytes }, { from: end, to: null, bytes: 0 }];
  }
  let step = 1;
  while (run.from + step * 2 < end) step *= 2;
  const middle = run.from + step;
  return [
    ...halve(inside, { from: run.from, to: middle, last: run.last }, limits),
    ...halve(inside, { from: middle, to: run.to, last: run.last }, limits),
  ];
}

/** Runs of rows of one page. */
async function cutPage(
  session: Session,
  table: TableFacts,
  options: { range: DataRange; sizes: readonly string[]; limits: DataLimits },
): Promise<DataRange[]> {
  const { range, sizes, limits } = options;
  const rows = await session.query(
    `SELECT (t.ctid::pg_catalog.text::pg_catalog.point)[1]::pg_catalog.int8 AS tuple,
            (${rowSize(sizes)})::pg_catalog.float8 AS bytes ${fromRange(table, range)}`,
  );
  const tuples = rows.map((row) => ({ tuple: Number(row.tuple), bytes: Number(row.bytes) }))
    .sort((a, b) => a.tuple - b.tuple);
  const ranges: DataRange[] = [];
  let from = 1;
  let filled = 0;
  for (const { tuple, bytes } of tuples) {
    if (filled > 0 && filled + bytes > limits.maxPartBytes) {
      ranges.push({ ...range, tuples: { from, to: tuple } });
      from = tuple;
      filled = 0;
    }
    filled += bytes;
  }
  ranges.push({ ...range, tuples: { from, to: null } });
  return ranges;
}
