/**
 * Loads stored rows into tables and large objects.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { DataPart, Piece, TableData } from "../core/model.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import type { CopyResult, Session } from "../postgres/session.ts";
import type { TableLoad } from "./plan_types.ts";

/** Reads stored bytes: the repository's `readPieces`. */
export type ReadPieces = (pieces: readonly Piece[]) => AsyncIterable<Uint8Array>;

/** Threads of a host, each with a connection and a repository of its own, to load parts in. */
export interface RowLoader {
  /** Parts that it loads at a time. */
  readonly concurrency: number;
  /** Bytes of rows below which starting it takes longer than it saves. */
  readonly leastBytes: number;
  /** Loads a part in a transaction of its own. @throws as {@linkcode loadPart} */
  load(item: LoadItem): Promise<void>;
}

/** Removes the rows that are there. A condition means that a part of them stays: the extension's. */
export async function clearTables(session: Session, loads: readonly TableLoad[]): Promise<void> {
  const truncated: string[] = [];
  const deleted: string[] = [];
  for (const { entry: { table }, clear } of loads) {
    if (clear === "none" || table === undefined) continue;
    const condition = table.condition ?? "";
    if (clear === "truncate" && condition === "") truncated.push(table.sqlName);
    else deleted.push(`DELETE FROM ONLY ${table.sqlName} ${condition}`);
  }
  // Together, because foreign keys among them may have stayed.
  if (truncated.length > 0) await session.execute(`TRUNCATE ONLY ${truncated.join(", ONLY ")}`);
  for (const statement of deleted) await session.execute(statement);
}

/** A part and where it goes. */
export interface LoadItem {
  load: TableLoad;
  part: DataPart;
}

/** Loads one part in a transaction of its own, or in the one that is open. @throws as {@linkcode loadPart} */
export async function loadPartAtOnce(
  session: Session,
  item: LoadItem & { readPieces: ReadPieces },
): Promise<void> {
  if (session.inTransaction) return await loadPart(session, item);
  try {
    await loadPart(session, { ...item, begin: true });
    await session.execute("COMMIT");
  } catch (error) {
    if (session.inTransaction) await session.execute("ROLLBACK");
    throw error;
  }
}

/**
 * Loads one part. With `begin` it begins a transaction, which saves the round trip for that.
 *
 * @throws {BackupError} `restore_mismatch` when another number of rows arrived than was stored
 */
export async function loadPart(
  session: Session,
  { load, part, readPieces, begin = false }: LoadItem & { readPieces: ReadPieces; begin?: boolean },
): Promise<void> {
  const source = readPieces(part.pieces);
  const first = begin ? "BEGIN; " : "";
  const result = load.data === null || load.entry.kind === "large-object-data"
    ? await loadLargeObjects(session, { source, first, areNew: load.areNew === true })
    : await session.copyIn(first + copyStatement(load, load.data, part), source);
  if (result.rows === part.rows) return;
  throw new BackupError(
    "restore_mismatch",
    `Cannot restore ${load.entry.identity}: part ${part.part} brought ${result.rows} rows, not ${part.rows}`,
  );
}

function copyStatement(load: TableLoad, data: TableData, part: DataPart): string {
  const columns = data.columns.length === 0 ? "" : ` (${data.columns.join(", ")})`;
  const options = part.format === "binary"
    ? "FORMAT binary"
    : `FORMAT text, ENCODING ${quoteLiteral(part.encoding)}`;
  return `COPY ${load.root ?? load.entry.table?.sqlName}${columns} FROM STDIN (${options})`;
}

const PAGE_BYTES = 2048;

/**
 * Pages of large objects go through a table of this session, because not every role may write
 * pg_largeobject; who may writes new ones straight into it, which takes half the time.
 */
async function loadLargeObjects(
  session: Session,
  { source, first, areNew }: { source: AsyncIterable<Uint8Array>; first: string; areNew: boolean },
): Promise<CopyResult> {
  const [right] = await session.query(
    "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'INSERT') AS may_write",
  );
  if (areNew && right?.may_write === true) {
    return await session.copyIn(
      `${first}COPY pg_catalog.pg_largeobject (loid, pageno, data) FROM STDIN (FORMAT binary)`,
      source,
    );
  }
  await session.execute(
    `${first}CREATE TEMPORARY TABLE IF NOT EXISTS restored_pages ` +
      "(loid oid, pageno int4, data bytea) ON COMMIT DELETE ROWS",
  );
  const result = await session.copyIn(
    "COPY pg_temp.restored_pages (loid, pageno, data) FROM STDIN (FORMAT binary)",
    source,
  );
  await session.execute(
    `SELECT count(pg_catalog.lo_put(loid, pageno::bigint * ${PAGE_BYTES}, data)) ` +
      "FROM pg_temp.restored_pages",
  );
  await session.execute("TRUNCATE pg_temp.restored_pages");
  return result;
}
