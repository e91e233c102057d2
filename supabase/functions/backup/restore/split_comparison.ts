/**
 * Compares the rows of a large table in several queries, each over some of its blocks: so whoever has a
 * moment can do one, where a single query would be the last thing that everybody waits for.
 *
 * @module
 */
import { quoteLiteral } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import type { Difference } from "./compare_models.ts";
import {
  BATCH_BYTES,
  batchGroups,
  type ComparedLoads,
  compareFound,
  expectedRows,
  rowsQuery,
} from "./compare_rows.ts";
import { bytesOf } from "./plan_loads.ts";

/** What one session compares in one go: the rows of some tables, or some blocks of a large one. */
export type RowsToCompare = readonly ComparedLoads[] | TableBlocks;

/** Some blocks of a table, from the first to before the second; null for all that are left. */
export interface TableBlocks {
  table: SplitTable;
  from: number;
  to: number | null;
}

/** A table that is compared in pieces, and what they have found so far. */
export interface SplitTable {
  loads: ComparedLoads;
  /** Pieces that are not compared yet. */
  open: number;
  rows: bigint;
  sum: bigint;
}

/**
 * What is compared by one query each: pieces of large tables, and small ones put together. The rows must be
 * there, and must stay as they are.
 */
export async function splitComparisons(
  session: Session,
  groups: readonly ComparedLoads[],
): Promise<RowsToCompare[]> {
  const counts = new Map(groups.map((loads) => [loads, piecesOf(loads)]));
  const blocks = await blocksOf(session, groups.filter((loads) => counts.get(loads)! > 1));
  const pieces = [...blocks].flatMap(([loads, count]) => cut(loads, count, counts.get(loads)!));
  return [...batchGroups(groups.filter((loads) => !blocks.has(loads))), ...pieces];
}

/**
 * Compares one piece.
 *
 * @returns the table's difference, with the last of its pieces
 */
export async function compareBlocks(
  session: Session,
  { table, from, to }: TableBlocks,
): Promise<Difference | null> {
  const upTo = to === null ? "" : ` AND t.ctid OPERATOR(pg_catalog.<) '(${to},0)'`;
  const blocks = `WHERE t.ctid OPERATOR(pg_catalog.>=) '(${from},0)'${upTo}`;
  const [row] = await session.query(rowsQuery(table.loads, blocks));
  const [rows, sum] = String(Object.values(row!)[0]).split(" ").map(BigInt);
  table.rows += rows!;
  table.sum += sum!;
  table.open--;
  return table.open > 0 ? null : compareFound(table.loads, `${table.rows} ${table.sum}`);
}

/** One for whatever is small, and for what only has its number of rows, which is quickly counted. */
function piecesOf(loads: ComparedLoads): number {
  const pieces = Math.max(1, Math.round(bytesOf(loads[0]) / BATCH_BYTES));
  if (pieces === 1) return 1;
  const [{ root, entry }] = loads;
  const isPlain = loads.length === 1 && root === undefined && !entry.table!.condition;
  if (!isPlain || expectedRows(loads).sum === null) return 1;
  return pieces;
}

/** Blocks of those that the server keeps in its own kind of table, where it reads ranges of blocks. */
async function blocksOf(
  session: Session,
  groups: readonly ComparedLoads[],
): Promise<Map<ComparedLoads, number>> {
  if (groups.length === 0) return new Map();
  const names = groups.map(([{ entry }], at) => `(${at}, ${quoteLiteral(entry.table!.sqlName)})`);
  const rows = await session.query(`
    SELECT named.at, pg_catalog.pg_relation_size(c.oid)
                       / pg_catalog.current_setting('block_size')::pg_catalog.int8 AS blocks
      FROM (VALUES ${names.join(", ")}) AS named (at, name)
      JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(named.name)
      JOIN pg_catalog.pg_am a ON a.oid = c.relam AND a.amname = 'heap'`);
  return new Map(rows.map(({ at, blocks }) => [groups[at]!, Number(blocks)]));
}

function cut(loads: ComparedLoads, blocks: number, count: number): TableBlocks[] {
  const table: SplitTable = { loads, open: count, rows: 0n, sum: 0n };
  const bound = (piece: number) => Math.floor(blocks * piece / count);
  return Array.from({ length: count }, (_, piece) => ({
    table,
    from: bound(piece),
    to: piece + 1 < count ? bound(piece + 1) : null,
  }));
}
