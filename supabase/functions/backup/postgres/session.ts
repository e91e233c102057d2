/**
 * What the layers above need of one connection to PostgreSQL.
 *
 * @module
 */

/** A value of a row: see {@linkcode Session.query}. */
// deno-lint-ignore no-explicit-any
export type Value = any;

/** A row by column name. */
export type Row = Record<string, Value>;

/** A parameter of a query, sent as text. */
export type Parameter = string | number | bigint | boolean | null;

/** Result of a COPY. */
export interface CopyResult {
  /** Rows as the server counted them. */
  rows: number;
  /** Bytes of COPY data, without the protocol's frames. */
  bytes: number;
}

/** Takes the data of several COPYs. */
export interface CopySink {
  /** A slice of the COPY that runs; valid until the promise settles. */
  data(slice: Uint8Array): void | Promise<void>;
  /** The COPY has ended. Must not throw. */
  end(result: CopyResult): void;
}

/**
 * One connection, used by one caller at a time: a second call waits for the first to end.
 *
 * Every failure is a `BackupError`; those that the server reports are {@linkcode DatabaseError}s with
 * its SQLSTATE. Messages leave out the server's DETAIL, because it may hold row values.
 */
export interface Session {
  /** server_version_num, such as 170010. */
  readonly serverVersion: number;
  /** The server's encoding of the database, such as `UTF8` or `SQL_ASCII`. */
  readonly serverEncoding: string;
  /** Process id of the backend. */
  readonly backendPid: number;
  /** Whether others on the way could read along: there is no TLS, and the server is elsewhere. */
  readonly inClear: boolean;
  /** Whether the last transaction status said that a transaction is open. */
  readonly inTransaction: boolean;
  /** `utf8`; `bytes` for databases whose text has no UTF-8 form: each char code is one byte. */
  readonly sqlText: "utf8" | "bytes";

  /**
   * Runs one statement and returns its rows. With parameters the extended protocol is used, all
   * values in text form. Column types decide the JavaScript value: bool → boolean; int2, int4, oid,
   * float4, float8, xid → number; int8 → string; json, jsonb → parsed; one-dimensional arrays of
   * these and of text, name, char, aclitem → array; everything else → the server's text. NULL → null.
   */
  query<T extends Row = Row>(sql: string, parameters?: readonly Parameter[]): Promise<T[]>;

  /** Runs statements by the simple protocol; rows are thrown away. */
  execute(sql: string): Promise<void>;

  /**
   * Runs `COPY … TO STDOUT` and hands over the COPY data as it comes, without protocol frames, in
   * slices of any cut. A slice is valid only until the callback's promise settles: copy what is kept.
   * The socket is not read on until then, so memory stays bounded however large a row is.
   */
  copyOut(sql: string, onData: (slice: Uint8Array) => void | Promise<void>): Promise<CopyResult>;

  /**
   * Runs several `COPY … TO STDOUT` in one round trip, for many small tables: `sink.data` is called as in
   * {@linkcode Session.copyOut}, `sink.end` once at the end of each COPY, in their order.
   */
  copyOutEach(statements: readonly string[], sink: CopySink): Promise<void>;

  /** Runs `COPY … FROM STDIN` with COPY data in slices of any cut. When `source` throws, the COPY fails. */
  copyIn(sql: string, source: AsyncIterable<Uint8Array>): Promise<CopyResult>;

  /** Asks the server to cancel what this session runs, over a connection of its own. */
  cancel(): Promise<void>;

  /** Ends the connection; safe to repeat. An open transaction rolls back. */
  close(): Promise<void>;
}
