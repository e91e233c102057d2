/**
 * The door of `dump/`: reads a database into a model, and its rows into bytes.
 *
 * @module
 */
export type { CatalogSlice, DumpOptions } from "./context.ts";
export { CatalogReading, type DatabaseReading, readDatabase } from "./read_database.ts";
export { type RowsEntry } from "./families/table_data.ts";
export { cutCatalog } from "./slices.ts";
export { readEntries } from "./read_entries.ts";
export { readSlice, type SliceLine, type SliceReading } from "./read_slice.ts";
export { type NodePack } from "./slice_nodes.ts";
export { type EntryPlace, orderSlices, type SlicesOrder } from "./order_slices.ts";
export { recheck, type RowVersions } from "./recheck.ts";
export { readSourceFacts } from "./source_facts.ts";
export { estimateStoredBytes } from "./stored_bytes.ts";
export * from "./data/mod.ts";
export { describeTableData, fingerprintExpression, isOfThisRelease } from "./data/table_data.ts";
export { readTypes, type TypeCatalog } from "./data/types.ts";
export { openSnapshot } from "./snapshot.ts";
export { type HeldSnapshot, type OpenHeldOptions, type SnapshotHolder } from "./snapshot_holder.ts";
export { lockAllJoined, lockJoined } from "./snapshot_join.ts";
export { sessionHolder } from "./snapshot_session.ts";
export { createSnapshotHolder, type SnapshotHolderOptions } from "./snapshot_strategy.ts";
export { describeWaiters, findWaiters, type Waiter, waiterRemarks } from "./snapshot_waiters.ts";
export { keeperHolder, type KeeperHolderOptions } from "./keeper.ts";
export { KeeperMissing } from "./keeper_missing.ts";
export {
  cleanStrayKeepers,
  findStrayKeepers,
  type FoundHolder,
  listKeepers,
} from "./keeper_list.ts";
export { readBinaryRows, type RowValues } from "./data/binary_rows.ts";
export { binaryAsTextLines, checkedTextLines } from "./data/text_lines.ts";
export { ExportOutput, type ExportTarget } from "./export/export_output.ts";
export { type ExportSource } from "./export/export_source.ts";
export { type LiveSource, openLiveSource } from "./export/live_source.ts";
export { parentsFirst } from "./export/parents_first.ts";
export { writeJson } from "./export/write_json.ts";
export { writeSql } from "./export/write_sql.ts";
export { matchesRelation } from "./families/relations.ts";
export { MANAGED_SCHEMAS, matchesPattern } from "./selection.ts";
