/**
 * What may go on at the same time once the rows are there: building indexes, constraints and other
 * post-data entries, and comparing rows by whoever would have to wait.
 *
 * @module
 */
import type { Entry, EntryKind } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import type { WorkSource } from "./in_parallel.ts";
import type { RowsToCompare } from "./split_comparison.ts";

/** One piece of it: an entry to make, or rows to compare. */
export type BuildWork =
  | { kind: "make"; entry: Entry }
  | { kind: "compare"; rows: RowsToCompare };

/** What there is to do. */
export interface BuildInput {
  /** In restore order. */
  entries: readonly Entry[];
  /** Rows to compare. What was handed out is taken from it. */
  comparisons: RowsToCompare[];
  /** Bytes of rows by the key of their table. */
  bytes: ReadonlyMap<string, number>;
  index: EntryIndex;
}

/** An entry that waits or is being made. */
interface Task {
  entry: Entry;
  tables: readonly string[];
  bytes: number;
}

/** Kinds whose statements let others read their tables meanwhile. */
const LETS_READ: readonly EntryKind[] = ["index", "foreign-key", "trigger", "statistics"];

/**
 * A source of the work: an entry starts when what it needs is made, and never beside another that locks
 * one of its tables against it; those of the largest tables first, because they take longest. Rows are
 * compared whenever entries are left and none can start. A comparison reads many tables, and a partitioned
 * table is locked with all its partitions, so none runs beside anything that keeps readers out of a table.
 */
export function buildSource(input: BuildInput): WorkSource<BuildWork> {
  const waiting = new Set(tasksOf(input));
  const unmade = new Set(input.entries.map((entry) => entry.key));
  const { comparisons } = input;
  const making = new Map<Entry, Task>();
  let comparing = 0;
  const start = (task: Task): { item: BuildWork } => {
    waiting.delete(task);
    making.set(task.entry, task);
    return { item: { kind: "make", entry: task.entry } };
  };
  const mayStart = (task: Task) =>
    !task.entry.dependsOn.some((key) => key !== task.entry.key && unmade.has(key)) &&
    (comparing === 0 || letsRead(task)) &&
    ![...making.values()].some((other) => collide(task, other));
  return {
    next() {
      for (const task of waiting) if (mayStart(task)) return start(task);
      if (making.size > 0 && comparisons.length > 0 && [...making.values()].every(letsRead)) {
        comparing++;
        return { item: { kind: "compare", rows: comparisons.shift()! } };
      }
      if (waiting.size === 0) return "done";
      if (making.size > 0 || comparing > 0) return "wait";
      // A loop among what is left: the order of the list decides.
      const [first] = waiting;
      return start(first!);
    },
    ended(work) {
      if (work.kind === "compare") {
        comparing--;
        return;
      }
      making.delete(work.entry);
      unmade.delete(work.entry.key);
    },
  };
}

function tasksOf({ entries, index, bytes }: BuildInput): Task[] {
  const tasks = entries.map((entry) => {
    const tables = [...index.tablesTouched(entry)];
    return { entry, tables, bytes: mostBytes(tables, bytes) };
  });
  return tasks.sort((a, b) => b.bytes - a.bytes);
}

/** Bytes of the largest of these tables. */
export function mostBytes(
  tables: Iterable<string>,
  bytes: ReadonlyMap<string, number>,
): number {
  return Math.max(0, ...[...tables].map((key) => bytes.get(key) ?? 0));
}

/** Whether one of them locks a table against the other. Indexes of one table may be built together. */
function collide(one: Task, other: Task): boolean {
  if (isBuild(one) && isBuild(other)) return false;
  // What names no table (publications, event triggers) runs alone.
  if (one.tables.length === 0 || other.tables.length === 0) return true;
  return one.tables.some((table) => other.tables.includes(table));
}

/** Building an index locks out writers only; what else is said of it (REPLICA IDENTITY) may lock more. */
function isBuild({ entry }: Task): boolean {
  return entry.kind === "index" && entry.statements.create.length <= 1;
}

function letsRead(task: Task): boolean {
  return task.entry.kind === "index" ? isBuild(task) : LETS_READ.includes(task.entry.kind);
}
