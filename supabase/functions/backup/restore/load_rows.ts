/**
 * Loads stored rows into tables and large objects.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { DataPart, Piece, TableData } from "../core/model.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import type { TableLoad } from "./plan_types.ts";

/** Reads stored bytes: the repository's `readPieces`. */
export type ReadPieces = (pieces: readonly Piece[]) => AsyncIterable<Uint8Array>;

/** Called in the transaction that loaded a part, so that a mark commits with its rows. */
export type PartLoaded = (session: Session, part: DataPart) => Promise<void>;

/** Removes what is there. */
export async function clearRows(session: Session, load: TableLoad): Promise<void> {
  const name = load.entry.table?.sqlName;
  if (load.clear === "none" || name === undefined) return;
  const condition = load.entry.table?.condition ?? "";
  // A condition means that part of the rows belongs to the extension and stays.
  if (load.clear === "truncate" && condition === "") await session.execute(`TRUNCATE ONLY ${name}`);
  else await session.execute(`DELETE FROM ONLY ${name} ${condition}`);
}

/**
 * Loads one part.
 *
 * @throws {BackupError} `restore_mismatch` when another number of rows arrived than was stored
 */
export async function loadPart(
  session: Session,
  { load, part, readPieces }: { load: TableLoad; part: DataPart; readPieces: ReadPieces },
): Promise<void> {
  const result = load.data === null || load.entry.kind === "large-object-data"
    ? await loadLargeObjects(session, readPieces(part.pieces))
    : await session.copyIn(copyStatement(load, load.data, part), readPieces(part.pieces));
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
  return `COPY ${load.entry.table?.sqlName}${columns} FROM STDIN (${options})`;
}

const PAGE_BYTES = 2048;

/** Pages of large objects go through a table of this session, because not every role may write pg_largeobject. */
async function loadLargeObjects(session: Session, source: AsyncIterable<Uint8Array>) {
  await session.execute(
    "CREATE TEMPORARY TABLE IF NOT EXISTS restored_pages " +
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
