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
  look: TableLook;
}

/** What a database is, beside its backup. */
export type Condition = "sound" | "empty" | "damaged";

/** The judgement. */
export interface Judgement {
  condition: Condition;
  /** Why it is not sound, a line each. */
  findings: string[];
  /** What differs and is no reason to restore, a line each. */
  remarks: string[];
}

/** Lines that are told; what is more is counted. */
const MOST_LINES = 50;

/**
 * `empty`: nothing is left of the tables that held rows. `damaged`: a table cannot be read; a table that
 * is no partition is gone, and no migration ran since that could have dropped or renamed it; or tables that
 * held at least half of all rows are gone or hold none.
 *
 * Less than that is everyday life (queues run empty, old partitions are dropped) and only remarked.
 */
export function judgeTables(
  tables: readonly ComparedTable[],
  { migrated }: { migrated: boolean },
): Judgement {
  const held = tables.filter(({ rows, isUnlogged }) => rows > 0 && !isUnlogged);
  const lost = held.filter(({ look }) => !look.isThere || look.hasRows === false);
  const gone = tables.filter(({ look }) => !look.isThere);
  const unreadable = tables.filter(({ look }) => look.unreadable !== null);
  const [rowsHeld, rowsLost] = [sum(held), sum(lost)];
  const isEmpty = unreadable.length === 0 &&
    (held.length > 0
      ? lost.length === held.length
      : tables.length > 0 && gone.length === tables.length);
  const isMostLost = rowsLost > 0 && rowsLost * 2 >= rowsHeld;
  const findings: string[] = [];
  const remarks: string[] = [];
  for (const { sqlName, rows, isPartition, look } of tables) {
    if (look.unreadable !== null) findings.push(`${sqlName} cannot be read: ${look.unreadable}`);
    else if (!look.isThere) {
      const isFinding = isEmpty || isMostLost || (!isPartition && !migrated);
      (isFinding ? findings : remarks).push(`${sqlName} is gone${heldRows(rows)}`);
    } else if (rows > 0 && look.hasRows === false) {
      const isFinding = isEmpty || isMostLost;
      (isFinding ? findings : remarks).push(`${sqlName} has no rows any more${heldRows(rows)}`);
    } else if (look.unknown !== null) remarks.push(`${sqlName} is not known: ${look.unknown}`);
  }
  const condition = isEmpty ? "empty" : findings.length > 0 ? "damaged" : "sound";
  return { condition, findings: shorten(findings), remarks: shorten(remarks) };
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
