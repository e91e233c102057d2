/**
 * The door of `restore/`: plans a restore, executes it, compares the result.
 *
 * @module
 */
export { type Applied, type ApplyInput, applyRestore } from "./apply_restore.ts";
export { compareModels, type Comparison, type Difference } from "./compare_models.ts";
export type { Failure } from "./failures.ts";
export { inWordsOf } from "./in_words_of.ts";
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
  TargetFacts,
} from "./plan_types.ts";
export { HAZARDS } from "./plan_types.ts";
export { borrowRoles } from "./role_rights.ts";
export { readTargetFacts } from "./read_target.ts";
export { type PlanSummary, summarizePlan } from "./summarize_plan.ts";
