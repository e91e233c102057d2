/**
 * Copies the bytes of large objects: rows (loid, pageno, data) as pg_largeobject holds them, in parts that
 * end between objects or at fixed pages inside of large ones.
 *
 * @module
 */
import type { TableData } from "../../core/model.ts";
import type { Row, Session } from "../../postgres/session.ts";
import { type CopiedPart, copyAs, type CopyPartOptions } from "./copy_part.ts";
import type { DataLimits, DataRange } from "./ranges.ts";

/** Bytes of one page of a large object. */
const PAGE_BYTES = 2048;

/** An object, or a run of pages of it. */
interface PageRun {
  oid: number;
  from: number;
  to: number | null;
}

/** Large objects that are read together: one part of the data. Survives JSON. */
export interface LargeObjectGroup {
  runs: PageRun[];
  /** Place among the groups. */
  index: number;
  /** Whether the role may read the catalog; else the objects are read one by one. */
  readable: boolean;
  /** Estimate. */
  bytes: number;
}

/** All large objects of the database, in groups that fit into a part. */
export async function planLargeObjects(
  session: Session,
  limits: DataLimits,
): Promise<LargeObjectGroup[]> {
  const [right] = await session.query(
    "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT') AS readable",
  );
  const readable = right?.readable === true;
  const objects = await objectSizes(session, readable);
  const pages = new Map(objects.map((object) => [object.oid, object.pages]));
  return groups(objects, limits).map((runs, index) => {
    const count = runs.reduce((sum, { oid, from, to }) => sum + (to ?? pages.get(oid)!) - from, 0);
    return { runs, index, readable, bytes: count * PAGE_BYTES };
  });
}

/** The rows of one group. */
export async function copyLargeObjectGroup(
  session: Session,
  { group, data, range, limits }: {
    group: LargeObjectGroup;
    data: TableData;
    range: DataRange;
    limits: DataLimits;
  },
  options: CopyPartOptions,
): Promise<CopiedPart> {
  const { runs, index, readable } = group;
  const sql = readable ? fromCatalog(runs) : fromFunctions(runs, limits);
  const copied = await copyAs(session, { range, data, sql }, options);
  return { ...copied, part: { ...copied.part, pages: { from: index, to: null } } };
}

/** All large objects of the database. */
export async function copyLargeObjects(
  session: Session,
  { data, range, limits }: { data: TableData; range: DataRange; limits: DataLimits },
  options: CopyPartOptions,
): Promise<CopiedPart[]> {
  const parts: CopiedPart[] = [];
  for (const group of await planLargeObjects(session, limits)) {
    options.signal?.throwIfAborted();
    parts.push(await copyLargeObjectGroup(session, { group, data, range, limits }, options));
  }
  return parts;
}

/** Pages of each object. A role that may not read the catalog asks for the length of each object. */
async function objectSizes(session: Session, readable: boolean) {
  const sql = readable
    ? `SELECT loid AS oid, max(pageno) + 1 AS pages FROM pg_catalog.pg_largeobject
        GROUP BY loid ORDER BY loid`
    : `SELECT oid, (pg_catalog.lo_lseek64(fd, 0, 2) + ${PAGE_BYTES - 1}) / ${PAGE_BYTES} AS pages,
              pg_catalog.lo_close(fd)
         FROM (SELECT oid, pg_catalog.lo_open(oid, 262144) AS fd
                 FROM pg_catalog.pg_largeobject_metadata ORDER BY oid OFFSET 0) AS opened`;
  const rows = await session.query(sql);
  return rows.map((row: Row) => ({ oid: Number(row.oid), pages: Number(row.pages) }));
}

/** Runs that are read together. */
function groups(
  objects: readonly { oid: number; pages: number }[],
  limits: DataLimits,
): PageRun[][] {
  const most = pagesOfPart(limits);
  const result: PageRun[][] = [];
  let open: PageRun[] = [];
  let filled = 0;
  for (const { oid, pages } of objects) {
    if (pages > most) {
      for (let from = 0; from < pages; from += most) {
        result.push([{ oid, from, to: from + most >= pages ? null : from + most }]);
      }
      continue;
    }
    if (filled + pages > most || open.length >= 1000) {
      if (open.length > 0) result.push(open);
      open = [];
      filled = 0;
    }
    open.push({ oid, from: 0, to: null });
    filled += pages;
  }
  if (open.length > 0) result.push(open);
  return result;
}

function pagesOfPart(limits: DataLimits): number {
  return Math.max(1, Math.floor(limits.partBytes / PAGE_BYTES));
}

function fromCatalog(runs: readonly PageRun[]): string {
  const [first] = runs;
  const where = runs.length === 1 && first !== undefined
    ? `loid = ${first.oid} AND pageno >= ${first.from}` +
      (first.to === null ? "" : ` AND pageno < ${first.to}`)
    : `loid = ANY ('{${runs.map(({ oid }) => oid).join(",")}}'::pg_catalog.oid[])`;
  return `COPY (SELECT loid, pageno, data FROM pg_catalog.pg_largeobject WHERE ${where} ` +
    "ORDER BY loid, pageno) TO STDOUT (FORMAT binary)";
}

/** Through the functions that check each object's own rights; holes come as zeros. */
function fromFunctions(runs: readonly PageRun[], limits: DataLimits): string {
  const most = pagesOfPart(limits);
  const values = runs.map(({ oid, from, to }) =>
    `(${oid}::pg_catalog.oid, ${from}, ${to ?? 2 ** 31 - 1})`
  );
  return `COPY (SELECT loid, pageno::pg_catalog.int4, data
    FROM (VALUES ${values.join(", ")}) AS run (loid, first, beyond),
         LATERAL (SELECT (pg_catalog.octet_length(pg_catalog.lo_get(
                    loid, first::pg_catalog.int8 * ${PAGE_BYTES},
                    least(beyond - first, ${most}) * ${PAGE_BYTES})) + ${
    PAGE_BYTES - 1
  }) / ${PAGE_BYTES} AS pages
                  OFFSET 0) AS size,
         LATERAL pg_catalog.generate_series(first, first + pages - 1) AS pageno,
         LATERAL (SELECT pg_catalog.lo_get(loid, pageno::pg_catalog.int8 * ${PAGE_BYTES}, ${PAGE_BYTES}) AS data
                  OFFSET 0) AS page) TO STDOUT (FORMAT binary)`;
}
