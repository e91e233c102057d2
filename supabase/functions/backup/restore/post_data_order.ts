/**
 * Which indexes, constraints and other post-data entries may be made at the same time.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import type { WorkSource } from "./in_parallel.ts";

/**
 * A source of post-data entries: an entry starts when what it needs is made, and never beside another
 * that locks one of its tables against it. Indexes of one table may be built together.
 */
export function postDataSource(entries: readonly Entry[], index: EntryIndex): WorkSource<Entry> {
  const waiting = new Set(entries);
  const unmade = new Set(entries.map((entry) => entry.key));
  const running = new Map<Entry, Set<string>>();
  const tables = new Map(entries.map((entry) => [entry, index.tablesTouched(entry)]));
  const collides = (entry: Entry) => {
    const own = tables.get(entry) ?? new Set();
    for (const [other, theirs] of running) {
      if (entry.kind === "index" && other.kind === "index") continue;
      // What names no table (publications, event triggers) runs alone.
      if (own.size === 0 || theirs.size === 0) return true;
      for (const table of own) if (theirs.has(table)) return true;
    }
    return false;
  };
  return {
    next() {
      if (waiting.size === 0) return "done";
      for (const entry of waiting) {
        if (entry.dependsOn.some((key) => key !== entry.key && unmade.has(key))) continue;
        if (collides(entry)) continue;
        waiting.delete(entry);
        running.set(entry, tables.get(entry) ?? new Set());
        return { item: entry };
      }
      if (running.size > 0) return "wait";
      // A loop among what is left: the order of the list decides.
      const [first] = waiting;
      waiting.delete(first!);
      running.set(first!, tables.get(first!) ?? new Set());
      return { item: first! };
    },
    ended(entry) {
      running.delete(entry);
      unmade.delete(entry.key);
    },
  };
}
