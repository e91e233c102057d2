/**
 * The door of `dump/data/`: the rows of a database. A thread that copies rows enters here, and so does not
 * load all that is needed to read definitions.
 *
 * @module
 */
export { joinSnapshot } from "../snapshot_join.ts";
export {
  copyLargeObjectGroup,
  type LargeObjectGroup,
  planLargeObjects,
} from "./copy_large_objects.ts";
export type { CopiedPart, DataSink } from "./copy_part.ts";
export { copyUnit, type CopyUnitOptions } from "./copy_unit.ts";
export {
  type DataLimits,
  type DataModel,
  type DataRange,
  type DataUnit,
  DEFAULT_LIMITS,
  numberParts,
  planUnits,
} from "./ranges.ts";
export type { OwnFingerprint, OwnFingerprints } from "./own_fingerprints.ts";
export { hashOfRow } from "./table_data.ts";
export type { HashForm } from "./types.ts";
