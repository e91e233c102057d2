/**
 * Copies one range to a sink as one part, with its fingerprint.
 *
 * @module
 */
import type { DataPart, Piece, RowsFingerprint, TableData, TableFacts } from "../../core/model.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";
import { copyRange, fromRange } from "./range_sql.ts";
import type { DataRange } from "./ranges.ts";

/** Where COPY data goes. */
export interface DataSink {
  /** Takes bytes in order. The slice belongs to the caller again when the promise settles. */
  append(slice: Uint8Array): void | Promise<void>;
  /**
   * Ends a part. The promise says where its bytes are stored; it may settle only after the sink was
   * given more or was finished, so nobody waits for it before.
   */
  endPart(): Promise<Piece[]>;
}

/** A part whose bytes have been handed to the sink. */
export interface CopiedPart {
  part: Omit<DataPart, "pieces">;
  pieces: Promise<Piece[]>;
}

/** What copying needs besides session and range. */
export interface CopyPartOptions {
  sink: DataSink;
  /** Hears of what the operator should know. */
  onRemark?: (remark: string) => void;
  /** Hears of bytes as they pass. */
  onBytes?: (bytes: number) => void;
  signal?: AbortSignal;
}

/** A range and what it is of. */
export interface TableRange {
  table: TableFacts;
  data: TableData;
  range: DataRange;
}

/** Copies a range of a table. */
export async function copyTablePart(
  session: Session,
  { table, data, range }: TableRange,
  options: CopyPartOptions,
): Promise<CopiedPart> {
  const sql = copyRange(table, data, range);
  const { part, pieces } = await copyAs(session, { range, data, sql }, options);
  const taken = await fingerprint(session, { table, data, range }, options);
  return { part: { ...part, fingerprint: taken }, pieces };
}

/** A part without rows, to carry the marks of rows that cannot be read. */
export function emptyPart(range: DataRange, data: TableData): CopiedPart {
  return {
    part: {
      ...range,
      part: 0,
      format: "text", // binary data cannot be empty
      encoding: data.encoding,
      rows: 0,
      rawBytes: 0,
      fingerprint: { rows: "0", sum: "0" },
    },
    pieces: Promise.resolve([]),
  };
}

/** Hands what a COPY statement gives to the sink, as one part without a fingerprint. */
export async function copyAs(
  session: Session,
  { range, data, sql }: { range: DataRange; data: TableData; sql: string },
  options: CopyPartOptions,
): Promise<CopiedPart> {
  const { rows, bytes } = await session.copyOut(sql, async (slice) => {
    options.signal?.throwIfAborted();
    await options.sink.append(slice);
    options.onBytes?.(slice.length);
  });
  const pieces = options.sink.endPart();
  // Whoever awaits it later learns of a failure; until then it must not count as unhandled.
  pieces.catch(() => {});
  return {
    part: {
      entry: range.entry,
      part: 0,
      pages: range.pages,
      ...(range.tuples === undefined ? {} : { tuples: range.tuples }),
      format: data.format,
      encoding: data.encoding,
      rows,
      rawBytes: bytes,
      fingerprint: null,
    },
    pieces,
  };
}

async function fingerprint(
  session: Session,
  { table, data, range }: TableRange,
  options: CopyPartOptions,
): Promise<RowsFingerprint | null> {
  if (data.fingerprintExpression === null) return null;
  await session.execute("SAVEPOINT fingerprint");
  try {
    const [row] = await session.query(
      `SELECT count(*)::pg_catalog.text AS rows,
              coalesce(sum(${data.fingerprintExpression}::pg_catalog.int8), 0)::pg_catalog.text AS sum
         ${fromRange(table, range)}`,
    );
    await session.execute("RELEASE SAVEPOINT fingerprint");
    return row === undefined ? null : { rows: row.rows, sum: row.sum };
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    await session.execute("ROLLBACK TO SAVEPOINT fingerprint; RELEASE SAVEPOINT fingerprint");
    options.onRemark?.(
      `Rows of ${table.sqlName} are too large for a fingerprint: they are compared by number only`,
    );
    return null;
  }
}

/** Whether the server could not put a row together for hashing. */
function isTooLarge(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  return error.sqlState === "54000" || error.sqlState === "53200" ||
    (error.sqlState === "XX000" && /invalid memory alloc request size/.test(error.message));
}
