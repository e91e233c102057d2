/**
 * The door of `restore/`: plans a restore, executes it, compares the result.
 *
 * @module
 */
export {
  analyze,
  type AnalyzedRelation,
  analyzedRelations,
  analyzeRelations,
  withoutStatistics,
} from "./analyze.ts";
export { type Applied, type ApplyInput, applyRestore } from "./apply_restore.ts";
export {
  type ComparedSlice,
  compareModels,
  compareResult,
  compareSlice,
  type Comparison,
  type Difference,
  joinSlices,
  type LiveEntries,
  unseenLines,
} from "./compare_models.ts";
export { describePlan } from "./describe_plan.ts";
export type { Failure } from "./failures.ts";
export { HashedNames } from "./hashed_names.ts";
export { differingInPrint, inWordsOf, linesInOtherWords } from "./in_words_of.ts";
export {
  type BackupLines,
  type CutPlan,
  keepPlan,
  type KeptPlan,
  type KeptUnit,
  readUnit,
  wholeLoads,
} from "./keep_plan.ts";
export { linesOf, linesToRead, plannedEntries } from "./kept_entries.ts";
export { knownToBackup } from "./known_to_backup.ts";
export { LoadLane, PARTS_A_LANE } from "./load_lane.ts";
export type { LoadItem, ReadPieces, RowLoader } from "./load_rows.ts";
export type { RestoreLimits, RestoreStepName } from "./cut_restore.ts";
export { EntryIndex } from "./entry_index.ts";
export { cancelHanded, nameOfWork } from "./hand_over.ts";
export { type PlanInput, planRestore, refuseUnfit } from "./plan_restore.ts";
export type {
  BackupFacts,
  Hazard,
  HazardName,
  LeftOut,
  Missing,
  RestoreMode,
  RestorePlan,
  RestoreRequest,
  TableLoad,
  TargetFacts,
} from "./plan_types.ts";
export { HAZARDS } from "./plan_types.ts";
export { isLoginTable } from "./platform_rules.ts";
export { borrowRoles, ownersToBorrow, returnRoles } from "./role_rights.ts";
export { prepareSession } from "./prepare_session.ts";
export { keepInForce, openMarks, removeMarks } from "./restore_marks.ts";
export { type BrokenOff, readBrokenOff, tracedPlan } from "./broken_off.ts";
export { beginTrace, type BegunRestore, removeTraces } from "./trace_marks.ts";
export { lookAtRows, type LookOptions, nothingFound, type StandingRows } from "./look_at_rows.ts";
export { MOST_LISTED, restoreMismatch } from "./restore_mismatch.ts";
export { runUnit } from "./run_unit.ts";
export { type ReadAsOwners, readTargetFacts, readUnwritableTables } from "./read_target.ts";
export {
  fitsAsItIs,
  hasSlim,
  isPlanOfSlim,
  mayPlanSlim,
  slimDataPart,
  slimTableData,
} from "./slim_backup.ts";
export {
  hashesOf,
  type LineHashes,
  packEntries,
  type SlimLines,
  unpackEntries,
} from "./slim_lines.ts";
export { type PlanSummary, summarizePlan } from "./summarize_plan.ts";
export { together, type UnitReport } from "./unit_report.ts";
