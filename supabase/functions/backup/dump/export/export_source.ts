/**
 * What an export reads, be it a backup or a live database.
 *
 * @module
 */
import type { ExportedRows, ExportedTable, ExportHeader } from "../../core/export_format.ts";
import { EXPORT_FORMAT, shownType } from "../../core/export_format.ts";
import type { Entry, SourceFacts, TableData } from "../../core/model.ts";
import { RELEASE } from "../../core/release.ts";
import type { RowValues } from "../data/binary_rows.ts";
import { dataColumns } from "../data/table_data.ts";

/** See the module. */
export interface ExportSource {
  facts: SourceFacts;
  /** What it is, in words. */
  of: string;
  /** The moment that it shows, ISO 8601. */
  at: string;
  /** In restore order. */
  entries: readonly Entry[];
  /** By entry, of those that have rows. */
  tableData: ReadonlyMap<string, TableData>;
  /** Hands over the rows of a table as lines of text COPY data, in slices of any cut. */
  copyText(
    entry: Entry,
    take: (slice: Uint8Array) => void | Promise<void>,
  ): Promise<ExportedRows>;
  /** Hands over the pages of the large objects: oid, page, bytes in hexadecimal. */
  copyPages(entry: Entry, take: (page: RowValues) => Promise<void>): Promise<ExportedRows>;
}

/** The header of a file with the rows of some entries. */
export function headerOf(
  source: ExportSource,
  format: ExportHeader["format"],
  tables: ExportedTable[],
): ExportHeader {
  const { of, at, facts } = source;
  const { serverVersion, encoding, sqlText } = facts;
  return {
    supabaseBackupExport: EXPORT_FORMAT,
    ...{ format, of, at, writtenBy: RELEASE, serverVersion, encoding, sqlText, tables },
  };
}

/** A table as the header names it. */
export function exportedTable({ schema, name, table }: Entry): ExportedTable {
  const columns = table === undefined ? [] : dataColumns(table);
  return {
    schema: schema ?? "",
    name,
    columns: columns.map((column) => ({ name: column.name, type: shownType(column.typeName) })),
  };
}
