/**
 * Tells from what was found of the tables whether a database is sound, empty or damaged, and what of it is
 * lost. Pure: the decision what a plan restores hangs on it.
 *
 * @module
 */
import type { TableLook } from "./look_at_tables.ts";
import { withTied } from "./with_tied.ts";

/** A table as the backup has it, with what was found of it. */
export interface ComparedTable {
  /** Quoted and qualified. */
  sqlName: string;
  /** In the backup; 0 for one whose rows are not kept in itself. */
  rows: number;
  /** The partitioned table that it belongs to, by `sqlName`. */
  partitionOf: string | null;
  /** Its rows do not survive a crash of the server anyway. */
  isUnlogged: boolean;
  /** Names of its columns; empty when the backup does not say. */
  columns: readonly string[];
  /** Tables that its foreign keys refer to, by `sqlName`. */
  refersTo: readonly string[];
  /**
   * The project's own; or what the platform keeps for it: who can sign in, what belongs to these, and the
   * list of its files.
   */
  holds: "own" | "users" | "of-users" | "files";
  look: TableLook;
}

/** What a database is, beside its backup. `unknown`: too much of it could not be looked at. */
export type Condition = "sound" | "empty" | "damaged" | "unknown";

/** The judgement. */
export interface Judgement {
  condition: Condition;
  /** What a restore is about: all of the database, or the tables in `lost`; null when nothing needs one. */
  scope: "database" | "tables" | null;
  /** Why it is not sound, a line each. */
  findings: string[];
  /** What differs and is no reason to restore, a line each. */
  remarks: string[];
  /** Tables of the findings that are gone or hold no rows any more, by `sqlName`. */
  lost: string[];
  /** Such tables of the remarks. */
  remarked: string[];
}

/** A table with rows that the backup does not know. */
export interface Stranger {
  /** Quoted and qualified. */
  sqlName: string;
  columns: readonly string[];
}

/** What else is known. */
export interface Circumstances {
  /** Migrations ran since the backup. */
  migrated: boolean;
  /** One of them may be a table of the backup, renamed. */
  strangers: readonly Stranger[];
}

/** Lines that are told; what is more is counted. */
const MOST_LINES = 50;

/**
 * `empty`: nothing is left of the tables that held rows. `damaged`, all of it: a table cannot be read; or at least
 * half of the tables, with at least half of all rows, are gone or hold none. `damaged`, some tables of it:
 * tables are gone that are no partitions, and neither a migration nor a new table like them explains it; or
 * tables with at least half of all rows hold none; or nobody is left who could sign in.
 *
 * Less than that is everyday life (queues run empty, old partitions are dropped) and only remarked.
 */
export function judgeTables(
  compared: readonly ComparedTable[],
  circumstances: Circumstances,
): Judgement {
  const tables = compared.filter(({ holds }) => holds === "own");
  const held = tables.filter(holdsRows);
  const gone = tables.filter(({ look }) => !look.isThere);
  const renamed = new Set(
    gone.filter((table) => circumstances.strangers.some((stranger) => mayBe(stranger, table))),
  );
  const surelyLost = held.filter((table) => isLost(table) && !renamed.has(table));
  const isReadable = compared.every(({ look }) => look.unreadable === null);
  const isEmpty = isReadable && renamed.size === 0 &&
    (held.length > 0
      ? surelyLost.length === held.length
      : tables.length > 0 && gone.length === tables.length);
  const isMostLost = isHalf(surelyLost, held) && 2 * surelyLost.length >= held.length;
  const isWhole = isEmpty || isMostLost || !isReadable;
  const alone = lostAlone(compared, { ...circumstances, held, surelyLost, renamed });
  const unseen = held.filter(({ look }) => look.unknown !== null);
  const isBlind = !isWhole && alone.size === 0 && isHalf(unseen, held);
  const isFinding = (table: ComparedTable) =>
    table.look.unreadable !== null || alone.has(table) || (isBlind && unseen.includes(table)) ||
    ((isEmpty || isMostLost) && table.holds === "own" && isLost(table));
  const told = compared.filter((table) => lineOf(table) !== null);
  const findings = told.filter(isFinding);
  const remarks = told.filter((table) => !isFinding(table) && table.holds !== "of-users");
  const isDamaged = isWhole || alone.size > 0;
  return {
    condition: isEmpty ? "empty" : isDamaged ? "damaged" : isBlind ? "unknown" : "sound",
    scope: isWhole ? "database" : isDamaged ? "tables" : null,
    findings: shorten(findings.map((table) => lineOf(table)!)),
    remarks: [
      ...(renamed.size === 0 ? [] : circumstances.strangers.map(strangerLine)),
      ...shorten(remarks.map((table) => lineOf(table)!)),
    ],
    lost: namesOf(findings.filter(isLost)),
    remarked: namesOf(
      remarks.filter((table) => table.holds === "own" && !table.isUnlogged && isLost(table)),
    ),
  };
}

/** What is lost while the rest stands, with what is tied to it. */
function lostAlone(
  compared: readonly ComparedTable[],
  { migrated, held, surelyLost, renamed }: Circumstances & {
    held: readonly ComparedTable[];
    surelyLost: readonly ComparedTable[];
    renamed: ReadonlySet<ComparedTable>;
  },
): Set<ComparedTable> {
  const isExplained = (table: ComparedTable) =>
    !table.look.isThere && (migrated || renamed.has(table));
  const missed = compared.filter((table) =>
    table.holds === "own" && table.partitionOf === null && !table.look.isThere &&
    !isExplained(table)
  );
  const filled = new Set(
    held.filter(({ look }) => look.hasRows === true).map(({ partitionOf }) => partitionOf),
  );
  // Old partitions are dropped or emptied while others of their table hold rows.
  const emptied = surelyLost.filter((table) =>
    !isExplained(table) && !missed.includes(table) &&
    (table.partitionOf === null || !filled.has(table.partitionOf))
  );
  const users = compared.filter((table) => table.holds === "users" && isLost(table));
  return withTied(
    [...missed, ...(isHalf(emptied, held) ? emptied : []), ...users],
    compared.filter(({ holds, isUnlogged }) => holds !== "files" && !isUnlogged),
  );
}

function holdsRows({ rows, isUnlogged }: ComparedTable): boolean {
  return rows > 0 && !isUnlogged;
}

/** Whether it is gone, or holds none of its rows. */
export function isLost({ rows, look }: ComparedTable): boolean {
  return !look.isThere || (rows > 0 && look.hasRows === false);
}

/** A table keeps its columns when it is renamed, and may have got others. */
export function mayBe(stranger: Stranger, { columns }: Pick<ComparedTable, "columns">): boolean {
  return columns.every((name) => stranger.columns.includes(name));
}

/** What is to be said of a table; null when it is as it was. */
function lineOf({ sqlName, rows, look }: ComparedTable): string | null {
  if (look.unreadable !== null) return `${sqlName} cannot be read: ${look.unreadable}`;
  if (!look.isThere) return `${sqlName} is gone${heldRows(rows)}`;
  if (rows > 0 && look.hasRows === false) return `${sqlName} has no rows any more${heldRows(rows)}`;
  return look.unknown === null ? null : `${sqlName} is not known: ${look.unknown}`;
}

function strangerLine({ sqlName }: Stranger): string {
  return `${sqlName} holds rows and is not in the backup: it may be one of those that are gone`;
}

function namesOf(tables: readonly ComparedTable[]): string[] {
  return tables.map(({ sqlName }) => sqlName);
}

function heldRows(rows: number): string {
  return rows === 0 ? "" : ` (the backup has ${rows})`;
}

function isHalf(some: readonly ComparedTable[], all: readonly ComparedTable[]): boolean {
  return some.length > 0 && 2 * sum(some) >= sum(all);
}

function sum(tables: readonly ComparedTable[]): number {
  return tables.reduce((total, { rows }) => total + rows, 0);
}

function shorten(lines: readonly string[]): string[] {
  if (lines.length <= MOST_LINES) return [...lines];
  return [...lines.slice(0, MOST_LINES), `and ${lines.length - MOST_LINES} more`];
}
