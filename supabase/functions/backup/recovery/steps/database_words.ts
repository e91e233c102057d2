/**
 * What the steps that assess and restore a database say, to people who may have to act on it.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import { requestLine } from "../../core/request_line.ts";
import type { DatabaseAssessment } from "../../usecases/mend/assess_database.ts";

/** An assessment, with the command that restores from anywhere. */
export type Assessed = DatabaseAssessment & { command: string };

/** Tables that one request names, and lines that one sentence does. */
const MOST_TABLES = 50;
const MOST_LINES = 5;

/** The condition, with the first reason for it. */
export function inWords(found: DatabaseAssessment): string {
  const { condition, backupId, findings, tablesCompared, remarkedTables, fuller } = found;
  const beside = `beside backup ${backupId}`;
  if (condition !== "sound") return `${condition} ${beside}: ${firstOf(findings)}`;
  const remarked = remarkedTables.length === 0
    ? ""
    : `, ${remarkedTables.length} of them gone or without rows, which is not held for damage`;
  const saved = fuller === null || fuller.lost.length === 0
    ? ""
    : `; but beside the earlier backup ${fuller.backupId} ${firstOf(fuller.lost)}`;
  return `sound: ${tablesCompared} tables looked at ${beside}${remarked}${saved}`;
}

function firstOf(lines: readonly string[]): string {
  const more = lines.length > 1 ? ` (and ${lines.length - 1} more)` : "";
  return `${lines[0]}${more}`;
}

/** What only people can judge, with the request that restores it. */
export function doubtsOf(
  { fuller, backupId, remarks, remarkedTables, unfinished }: DatabaseAssessment,
): string[] {
  const lines: string[] = [];
  if (unfinished !== null) {
    lines.push(
      `if the database is well although ${unfinished.found}, say so: ${unfinished.forget};`,
    );
  }
  if (fuller !== null) {
    const { createdAt, rows, rowsSince, lost } = fuller;
    const gone = lost.length === 0 ? "" : `, and beside it ${firstOf(lost)}`;
    lines.push(
      `backup ${fuller.backupId} of ${createdAt} holds ${rows} rows, more than twice the ` +
        `${rowsSince} of ${backupId}${gone}: if rows were lost before that was made, restore the earlier ` +
        `one: ${requestFor(fuller.backupId)}`,
    );
  }
  if (remarkedTables.length > 0) {
    const told = remarks.slice(0, MOST_LINES);
    const more = remarks.length > told.length ? `; and ${remarks.length - told.length} more` : "";
    lines.push(
      `this is not held for damage: ${told.join("; ")}${more}. If it is a loss, restore ` +
        requestForLost(backupId, remarkedTables),
    );
  }
  return lines;
}

function requestFor(backupId: string): string {
  return requestLine("restore", { backupId, type: "database" });
}

/** "these tables alone", with the request. */
export function requestForLost(backupId: string, lost: readonly string[]): string {
  const tables = lost.slice(0, MOST_TABLES);
  const which = tables.length < lost.length
    ? `the first ${MOST_TABLES} of these ${lost.length} tables`
    : "these tables alone";
  const request = { backupId, type: "database", tables, onlyLost: true };
  return `${which}: ${requestLine("restore", request)}`;
}

/** What is not known is neither sound nor lost. */
export function unknownDatabase({ command, backupId, findings }: Assessed): BackupError {
  return new BackupError(
    "database_error",
    `Cannot assess the database beside backup ${backupId}: tables with half of all rows could not be ` +
      `looked at: ${firstOf(findings)}`,
    {
      hint:
        "Nothing was changed. Remove what stands in the way (a lock, a right, a limit of time) and post the " +
        "trigger again; or restore all of the database without an assessment: post it with force.",
      details: { backupId, command, findings },
    },
  );
}

/** A half restored database that no restore of the backup beside which it is sound can complete. */
export function unfinishedElsewhere({ unfinished, backupId, command }: Assessed): BackupError {
  const { jobId, found, forget } = unfinished!;
  return new BackupError(
    "restore_incomplete",
    `Cannot call the database sound beside backup ${backupId}: ${found}`,
    {
      hint: `Nothing was changed. Restore ${unfinished!.backupId}, if it is still there: ` +
        `${
          requestFor(unfinished!.backupId)
        }; or ${backupId}, which replaces what is newer: ${command}; or say ` +
        `that the database is well: ${forget};`,
      details: { backupId, jobId, unfinished: unfinished!.backupId },
    },
  );
}

export function unreachable({ command, backupId, findings }: Assessed): BackupError {
  return new BackupError(
    "database_unreachable",
    `Cannot restore ${backupId}: the database cannot be reached`,
    {
      hint: `Bring the database back and post the trigger again, or restore into another one: ` +
        command,
      details: { backupId, command, findings },
    },
  );
}

/** A restore of lost tables that failed, with the request that people can go on with. */
export function withRequest(
  { code, message, hint, details }: BackupError,
  { backupId, lostTables }: DatabaseAssessment,
): BackupError {
  return new BackupError(code, message, {
    hint:
      `${hint === undefined ? "" : `${hint} `}To restore ${
        requestForLost(backupId, lostTables)
      }; with ` +
      '"dryRun": true it tells what it would do, and without "onlyLost" it replaces what stands of them.',
    details: { ...details, lostTables: toJson(lostTables.slice(0, MOST_TABLES)) },
  });
}

/** Something that differs. */
export interface Difference {
  identity: string;
  what: string;
}

export function mismatch(backupId: string, differences: readonly Difference[]): BackupError {
  const [first] = differences;
  return new BackupError(
    "restore_mismatch",
    `Cannot confirm the restore of ${backupId}: ${first?.identity}: ${first?.what}`,
    {
      hint: "Look at the differences. If others wrote to the database meanwhile, verify it again.",
      details: { backupId, differences: differences.slice(0, 50) },
    },
  );
}
