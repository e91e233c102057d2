/**
 * The parts of a restore that many workers share: their names, and in which order they come.
 *
 * @module
 */
import type { Json, NewPart } from "../../core/part.ts";
import type { CatalogSlice } from "../../dump/mod.ts";
import type { AnalyzedRelation, CutPlan, KeptUnit, RestoreStepName } from "../../restore/mod.ts";
import type { RestoreReport } from "./restore_database.ts";

/** The parts that a restore begins with. */
export const FIRST_OF_RESTORE: readonly NewPart[] = [
  { step: 0, name: "planning", payload: null, bytes: 0 },
];

/** Names of the parts, which are what users see of them. */
export const PLAN = FIRST_OF_RESTORE[0]!.name;
/** Reads what is to be planned, where one worker cannot read all of it. */
export const READ = "reading-backup";
/** Reads what the target holds, for the same reason. */
export const READ_TARGET = "reading-target";
/** Restores over a target that holds something, in one transaction. */
export const WHOLE = "restoring-at-once";
export const BORROW = "borrowing-roles";
export const COMPARE = "comparing-definitions";
export const ANALYZE = "analyzing-tables";
export const FINISH = "finishing";
export const UNITS: Record<RestoreStepName, string> = {
  roles: "restoring-roles",
  drop: "making-room",
  adjust: "adjusting-what-is-there",
  definitions: "restoring-definitions",
  clear: "clearing-tables",
  rows: "loading-rows",
  sequences: "setting-sequences",
  build: "building-indexes",
  rights: "granting-rights",
  refresh: "refreshing-views",
  last: "restoring-event-triggers",
  "check-keys": "checking-foreign-keys",
  "compare-rows": "comparing-rows",
};

/** The rung of the first units: above those of planning and of what is read for it. */
export const FIRST_RUNG = 4;

/** Tables that one part makes the planner's statistics of. */
const ANALYZED_TABLES = 200;

/** What a part that reads the target is about. */
export interface TargetPayload {
  backupId: string;
  /** Null for all of it. */
  slice: CatalogSlice | null;
}

/** What the part of a unit is about. */
export interface UnitPayload {
  /** Places of the step among the steps, and of the unit among its units. */
  step: number;
  unit: number;
  kept: KeptUnit;
  /** Pieces that were done when the part was added; there only when no worker has room for all of them. */
  pieces?: number;
}

/** What the part that analyzes is about. */
export interface AnalyzePayload {
  relations: AnalyzedRelation[];
}

/** What the last part is about. */
export interface FinishPayload {
  /** What there is to tell before anything is done. */
  report: RestoreReport;
}

/** Steps as parts; memberships are borrowed when the roles are there and before anything is given away. */
export function partsOf(
  { steps }: CutPlan,
  { analyzed, report }: { analyzed: readonly AnalyzedRelation[]; report: RestoreReport },
): NewPart[] {
  const rungs: Omit<NewPart, "step">[][] = steps.map(({ name, units }, step) =>
    units.map((kept, unit) => part(UNITS[name], { step, unit, kept } satisfies UnitPayload, kept))
  );
  const roles = steps.filter(({ name }) => name === "roles").length;
  rungs.splice(roles, 0, [part(BORROW, null)]);
  const analyze = Array.from(
    { length: Math.ceil(analyzed.length / ANALYZED_TABLES) },
    (_, at) => {
      const relations = analyzed.slice(at * ANALYZED_TABLES, (at + 1) * ANALYZED_TABLES);
      return part(ANALYZE, { relations } satisfies AnalyzePayload);
    },
  );
  rungs.push([part(COMPARE, null), ...analyze]);
  rungs.push([part(FINISH, { report } satisfies FinishPayload)]);
  return rungs.flatMap((parts, index) =>
    parts.map((each) => ({ step: index + FIRST_RUNG, ...each }))
  );
}

function part(name: string, payload: object | null, { bytes } = { bytes: 0 }) {
  return { name, payload: payload as Json, bytes };
}
