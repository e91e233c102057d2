/**
 * What units of a restore did and could not do, as plain data that other workers read.
 *
 * @module
 */
import type { Difference } from "./compare_models.ts";
import type { Failure } from "./failures.ts";
import type { LeftOut } from "./plan_types.ts";

/** What a unit did and what it could not do; plain data. */
export interface UnitReport {
  failed: Failure[];
  skipped: LeftOut[];
  /** Keys of definitions that are not there, with the cause. */
  unmade: [key: string, cause: string][];
  leftOut: LeftOut[];
  differences: Difference[];
  rows: number;
  bytes: number;
}

/** What pieces found out. */
export type Found = Pick<UnitReport, "leftOut" | "differences" | "rows" | "bytes">;

/** What became of a piece, kept with its mark. */
export interface PieceReport extends Found {
  /** Why it could not be done; null when it was. */
  failure: Failure | null;
}

/** A unit of which more pieces may be left, which are to be done by whoever has room for them. */
export interface BegunUnit {
  /** How many are done. */
  pieces: number;
}

/** What all units together have come to. */
export function together(reports: readonly UnitReport[]): UnitReport {
  return {
    failed: distinct(reports.flatMap((report) => report.failed)),
    skipped: distinct(reports.flatMap((report) => report.skipped)),
    unmade: reports.flatMap((report) => report.unmade),
    leftOut: reports.flatMap((report) => report.leftOut),
    differences: reports.flatMap((report) => report.differences),
    rows: reports.reduce((sum, report) => sum + report.rows, 0),
    bytes: reports.reduce((sum, report) => sum + report.bytes, 0),
  };
}

function distinct<T extends { identity: string }>(list: readonly T[]): T[] {
  return [...new Map(list.map((each) => [each.identity, each])).values()];
}
