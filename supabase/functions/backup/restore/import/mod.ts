/**
 * The door of `restore/import/`: brings exports back. It is not part of the door of `restore/`, because a
 * restore has no use for what reading exports takes to load.
 *
 * @module
 */
export {
  deferForeignKeys,
  emptyTables,
  lockForImport,
  moveSequences,
  silenceTriggers,
} from "./around_import.ts";
export { createTable, finishTable } from "./create_table.ts";
export type { ImportFile } from "./export_bytes.ts";
export { type ExportReader, type ExportSection, openExport } from "./export_reader.ts";
export {
  IMPORT_MODES,
  type ImportedTable,
  type ImportMode,
  importTable,
  located,
} from "./import_table.ts";
export { hasRelation, matchTable, type TargetTable } from "./match_tables.ts";
