/**
 * Copies one range to a sink as one part, with its fingerprint.
 *
 * @module
 */
import type { DataPart, Piece, TableData, TableFacts } from "../../core/model.ts";
import type { CopyResult, Session } from "../../postgres/session.ts";
import type { RangeFacts } from "./range_facts.ts";
import { copyRange } from "./range_sql.ts";
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
  /** Hears of bytes as they pass; a negative number takes back those that will pass again. */
  onBytes?: (bytes: number) => void;
  signal?: AbortSignal;
}

/** A range and what it is of. */
export interface TableRange {
  table: TableFacts;
  data: TableData;
  range: DataRange;
}

/** Copies a range of a table whose facts are known. */
export async function copyTablePart(
  session: Session,
  { table, data, range, facts }: TableRange & { facts: RangeFacts },
  options: CopyPartOptions,
): Promise<CopiedPart> {
  const sql = copyRange(table, data, range);
  const { part, pieces } = await copyAs(session, { range, data, sql }, options);
  return { part: { ...part, fingerprint: facts.fingerprint }, pieces };
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
  copy: { range: DataRange; data: TableData; sql: string },
  options: CopyPartOptions,
): Promise<CopiedPart> {
  const result = await session.copyOut(copy.sql, (slice) => take(slice, options));
  return endPart(copy, result, options);
}

/** As {@linkcode copyTablePart} for many small ranges, in one round trip. */
export async function copyTableParts(
  session: Session,
  ranges: readonly (TableRange & { facts: RangeFacts })[],
  options: CopyPartOptions,
): Promise<CopiedPart[]> {
  const copied: CopiedPart[] = [];
  await session.copyOutEach(
    ranges.map(({ table, data, range }) => copyRange(table, data, range)),
    {
      data: (slice) => take(slice, options),
      end(result) {
        const { facts, ...range } = ranges[copied.length]!;
        const { part, pieces } = endPart(range, result, options);
        copied.push({ part: { ...part, fingerprint: facts.fingerprint }, pieces });
      },
    },
  );
  return copied;
}

function take(slice: Uint8Array, { signal, sink, onBytes }: CopyPartOptions) {
  signal?.throwIfAborted();
  onBytes?.(slice.length);
  return sink.append(slice);
}

function endPart(
  { range, data }: { range: DataRange; data: TableData },
  { rows, bytes }: CopyResult,
  { sink }: CopyPartOptions,
): CopiedPart {
  const pieces = sink.endPart();
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
