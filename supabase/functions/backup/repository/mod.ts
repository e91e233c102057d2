/**
 * The repository's only door: an encrypted, content-addressed store of backups. The format is
 * described in `docs/repository-format.md`.
 *
 * @module
 */
export type * from "./types.ts";
export { isDamage } from "./backups.ts";
export {
  createRepository,
  openRepository,
  repositoryExists,
  type RepositoryOptions,
} from "./open_repository.ts";
export { type CopiedFoundation, copyFoundation } from "./copy_foundation.ts";
export {
  type CheckedObjects,
  compareArea,
  COPIED_AREAS,
  type CopiedObjects,
  type Copying,
  narrowerAreas,
  POINT_AREA,
  RECORD_AREA,
  type Sized,
} from "./copying.ts";
export type { Adopted } from "./adopt_backups.ts";
export { mapConcurrent } from "./map_concurrent.ts";
export type { Freeing, FreeingTimes } from "./freeing.ts";
export type { Freeable, Freed, Swept } from "./free_space.ts";
export { NameSet } from "./name_set.ts";
export type { ManifestRefs } from "./reachable.ts";
export {
  backupProblem,
  type CheckedLists,
  type Checking,
  chunkProblem,
  type FoundChunks,
} from "./checking.ts";
export { type ListChunk, listKey, type LookedBackups, type Problem } from "./check_lists.ts";
export { OVERHEAD_BYTES } from "./object.ts";
export { DIGITS, keyOf } from "./chunk_ends.ts";
export {
  decideRetention,
  type RetainedBackup,
  type Retention,
  type RetentionRules,
} from "./retention.ts";
export { FINGERPRINT_COMMAND, keyFingerprint, readKeyInput } from "./key_input.ts";
export { pickLines } from "./pick_lines.ts";
export { noTotals, sumOfWritten, writtenSince } from "./written_totals.ts";
