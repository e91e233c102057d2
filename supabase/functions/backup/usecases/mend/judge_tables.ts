/**
 * Tells from what was found of the tables whether a database is sound, empty or damaged. Pure: the
 * decision whether a plan restores hangs on it.
 *
 * @module
 */
import type { TableLook } from "./look_at_tables.ts";

/** A table as the backup has it, with what was found of it. */
export interface ComparedTable {
  /** Quoted and qualified. */
  sqlName: string;
  /** In the backup; 0 for one whose rows are not kept in itself. */
  rows: number;
  isPartition: boolean;
  /** Its rows do not survive a crash of the server anyway. */
  isUnlogged: boolean;
  /** The project's own, or what the platform keeps for it: who can sign in, and the list of its files. */
  holds: "own" | "users" | "files";
  look: TableLook;
}

/** What a database is, beside its backup. */
export type Condition = "sound" | "empty" | "damaged" | "unclear";

/** The judgement. */
export interface Judgement {
  condition: Condition;
  /** Why it is not sound, a line each. */
  findings: string[];
  /** What differs and is no reason to restore, a line each. */
  remarks: string[];
  /** Tables of the findings that are gone or hold no rows any more, by `sqlName`. */
  lost: string[];
}

/** What else is known. */
export interface Circumstances {
  /** Migrations ran since the backup. */
  migrated: boolean;
  /** Tables with rows that the backup does not know: one of them may be one of its own, renamed. */
  strangers: readonly string[];
}

/** Lines that are told; what is more is counted. */
const MOST_LINES = 50;

/**
 * `empty`: nothing is left of the tables that held rows. `damaged`: a table cannot be read; tables that are
 * no partitions are gone with at least half of all rows, and neither a migration nor a new table explains it; or
 * at least half of the tables, with at least half of all rows, are gone or hold none.
 *
 * `unclear`: it could be a loss or somebody's work, and only people can tell: fewer tables are gone, half of all
 * rows are lost but few tables, tables may have been renamed, nobody is left who could sign in, or half of all rows
 * could not be looked at.
 *
 * Less than that is everyday life (queues run empty, old partitions are dropped) and only remarked.
 */
export function judgeTables(
  compared: readonly ComparedTable[],
  { migrated, strangers }: Circumstances,
): Judgement {
  const tables = compared.filter(({ holds }) => holds === "own");
  const held = tables.filter(({ rows, isUnlogged }) => rows > 0 && !isUnlogged);
  const lost = held.filter(isLost);
  const gone = tables.filter(({ look }) => !look.isThere);
  const mayBeRenamed = gone.length > 0 && strangers.length > 0;
  const isHalf = (some: readonly ComparedTable[]) => some.length > 0 && 2 * sum(some) >= sum(held);
  const surelyLost = lost.filter(({ look }) => look.isThere || !mayBeRenamed);
  const isMostLost = isHalf(surelyLost) && 2 * surelyLost.length >= held.length;
  const isReadable = compared.every(({ look }) => look.unreadable === null);
  const isEmpty = !mayBeRenamed && isReadable &&
    (held.length > 0
      ? lost.length === held.length
      : tables.length > 0 && gone.length === tables.length);
  const isMissed = ({ isPartition, look }: ComparedTable) =>
    !look.isThere && !isPartition && !migrated;
  const isMuchGone = !mayBeRenamed && isHalf(held.filter(isMissed));
  const isDamaged = isMostLost || isMuchGone || !isReadable;
  const areUsersLost = (table: ComparedTable) => table.holds === "users" && isLost(table);
  const isLossUnclear = isHalf(lost) || tables.some(isMissed) || compared.some(areUsersLost);
  const isBlind = isHalf(held.filter(({ look }) => look.unknown !== null));
  const findings: string[] = [];
  const remarks: string[] = [];
  const lostNames: string[] = [];
  for (const table of compared) {
    const line = lineOf(table);
    if (line === null) continue;
    const { unreadable, unknown } = table.look;
    const isOwnFinding = table.holds === "own" &&
      (unknown === null ? isEmpty || isMostLost || isHalf(lost) || isMissed(table) : isBlind);
    const isFinding = unreadable !== null || isOwnFinding || areUsersLost(table);
    (isFinding ? findings : remarks).push(line);
    if (isFinding && isLost(table)) lostNames.push(table.sqlName);
  }
  if (mayBeRenamed) {
    const lines = strangers.map((name) => `${name} holds rows and is not in the backup`);
    (isLossUnclear ? findings : remarks).push(...lines);
  }
  const condition = isEmpty
    ? "empty"
    : isDamaged
    ? "damaged"
    : isLossUnclear || isBlind
    ? "unclear"
    : "sound";
  return { condition, findings: shorten(findings), remarks: shorten(remarks), lost: lostNames };
}

function isLost({ rows, look }: ComparedTable): boolean {
  return !look.isThere || (rows > 0 && look.hasRows === false);
}

/** What is to be said of a table; null when it is as it was. */
function lineOf({ sqlName, rows, look }: ComparedTable): string | null {
  if (look.unreadable !== null) return `${sqlName} cannot be read: ${look.unreadable}`;
  if (!look.isThere) return `${sqlName} is gone${heldRows(rows)}`;
  if (rows > 0 && look.hasRows === false) return `${sqlName} has no rows any more${heldRows(rows)}`;
  return look.unknown === null ? null : `${sqlName} is not known: ${look.unknown}`;
}

function heldRows(rows: number): string {
  return rows === 0 ? "" : ` (the backup has ${rows})`;
}

function sum(tables: readonly ComparedTable[]): number {
  return tables.reduce((total, { rows }) => total + rows, 0);
}

function shorten(lines: readonly string[]): string[] {
  if (lines.length <= MOST_LINES) return [...lines];
  return [...lines.slice(0, MOST_LINES), `and ${lines.length - MOST_LINES} more`];
}
