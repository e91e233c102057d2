/**
 * The words of an export file, which the exporter writes and the importer reads: `docs/export-format.md`.
 *
 * @module
 */

/** The version that this release writes. It reads 1, too, in which the sums of rows' hashes were others. */
export const EXPORT_FORMAT = 2;

/** What stands before the header in the first line of a file in SQL. */
export const SQL_HEADER_MARK = "-- supabase-backup export: ";
/** What stands before the number of rows behind each table of a file in SQL. */
export const SQL_END_MARK = "-- end of rows: ";
/** The last line of a file in SQL. */
export const SQL_COMPLETE_MARK = "-- end of export";

/** The first line of a file. */
export interface ExportHeader {
  /** {@linkcode EXPORT_FORMAT}, or an earlier one. */
  supabaseBackupExport: number;
  format: "json" | "sql";
  /** What was exported, in words. */
  of: string;
  /** The moment that it shows, ISO 8601. */
  at: string;
  /** Release that wrote it. */
  writtenBy: string;
  /** server_version_num of the source. */
  serverVersion: number;
  /**
   * Encoding of the rows. In JSON only UTF8 stands for itself; of any other each character of a value is
   * one byte.
   */
  encoding: string;
  /** Whether names and definitions are text, or one character for each byte of the encoding. */
  sqlText: "utf8" | "bytes";
  /** The tables whose rows follow, in their order. */
  tables: ExportedTable[];
}

/** A table of an export. */
export interface ExportedTable {
  schema: string;
  name: string;
  /** The columns that have values, in the order of the values: generated ones have none. */
  columns: ExportedColumn[];
  /** How to make it; in JSON only. */
  definition?: ExportedDefinition;
}

/** A column of an export. */
export interface ExportedColumn {
  name: string;
  /** As `format_type` writes it under an empty search_path. */
  type: string;
}

/** SQL that makes a table, without owner, rights, foreign keys, triggers and policies. */
export interface ExportedDefinition {
  /** What must be there first and is made only where it is not. */
  needs: ExportedNeed[];
  /** Before the rows. */
  before: string[];
  /** After the rows: keys, indexes, row level security. */
  after: string[];
}

/** A schema, type or sequence that a table needs. */
export interface ExportedNeed {
  kind: "schema" | "type" | "sequence";
  /** Null for a schema. */
  schema: string | null;
  name: string;
  create: string[];
}

/** What stands behind the rows of a table. */
export interface ExportedRows {
  /** Decimal. */
  rows: string;
  /** Sum of the rows' hashes, decimal; null when they are only counted. */
  sum: string | null;
}

/**
 * A type as an export names it: the server quotes even its own types where it is asked to quote all names.
 *
 * @example
 * ```ts
 * shownType('"text"[]'); // "text[]"
 * shownType('"public"."mood"'); // '"public"."mood"'
 * ```
 */
export function shownType(typeName: string): string {
  // Without its quotes, "char" would be another type.
  const plain = /^"(?!char")([a-z_][a-z0-9_]*)"((?:\[\])?)$/.exec(typeName);
  return plain === null ? typeName : `${plain[1]}${plain[2]}`;
}
