/**
 * What of a live database falls when some of it is dropped.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { dropOf } from "./drop_of.ts";
import { type EntryIndex, isRows } from "./entry_index.ts";

/** What falls with the given entries: all that depends on them, and the parts of partitioned indexes. */
export function fallenWith(live: EntryIndex, start: readonly Entry[]): Set<Entry> {
  const found = live.withDependents(start);
  const goesWithParent = new Set<Entry>();
  for (const entry of found) {
    // A type takes its own functions along, and the empty type that they were made with.
    const shell = entry.kind === "type" ? live.byKey(`${entry.key}:shell`) : undefined;
    if (shell !== undefined && !found.has(shell)) {
      for (const each of live.withDependents([shell])) found.add(each);
    }
    if (entry.kind !== "index-attach") continue;
    const { parent, child } = attachedIndexes(live, entry);
    if (parent === undefined || child === undefined || !found.has(parent)) continue;
    // An index that goes with its whole table leaves those of the partitions standing.
    const table = live.tableOf(parent);
    const isDropped = dropOf(parent).length > 0 || goesWithParent.has(parent);
    if (!isDropped || table === undefined || found.has(table)) continue;
    if (parent.kind === "index" && child.kind === "constraint") {
      // The server refuses to drop an index over a constraint, while the partition is attached.
      const partition = live.tableOf(child);
      for (const each of live.entries) {
        if (each.kind === "table-attach" && live.tableOf(each) === partition) found.add(each);
      }
    } else {
      goesWithParent.add(child);
      for (const each of live.withDependents([child])) found.add(each);
    }
  }
  const fallen = [...found].filter((entry) => !isRows(entry) && entry.kind !== "refresh");
  return new Set(withoutStanding(live, new Set(fallen)));
}

/** Without indexes that have no DROP of their own and do not go with another: their partition is detached. */
function withoutStanding(live: EntryIndex, fallen: ReadonlySet<Entry>): Entry[] {
  const detached = new Set<Entry | undefined>();
  const parents = new Map<Entry | undefined, Entry | undefined>();
  for (const entry of live.entries) {
    if (entry.kind === "table-attach" && fallen.has(entry)) detached.add(live.tableOf(entry));
    if (entry.kind !== "index-attach") continue;
    const { parent, child } = attachedIndexes(live, entry);
    parents.set(child, parent);
  }
  const goes = (index: Entry): boolean => {
    if (dropOf(index).length > 0) return fallen.has(index);
    const table = live.tableOf(index);
    if (table === undefined || fallen.has(table)) return true;
    const parent = parents.get(index);
    return !detached.has(table) && parent !== undefined && goes(parent);
  };
  return [...fallen].filter((entry) =>
    entry.kind !== "index" && entry.kind !== "constraint" || goes(entry)
  );
}

/** The index of a partitioned table and that of a partition; the attachment is named after the latter. */
export function attachedIndexes(
  live: EntryIndex,
  attachment: Entry,
): { parent?: Entry | undefined; child?: Entry | undefined } {
  const indexes = live.dependencies(attachment).filter((each) =>
    each.kind === "index" || each.kind === "constraint"
  );
  const child = indexes.find(({ kind, schema, name }) =>
    schema === attachment.schema &&
    (name === attachment.name || kind === "constraint" && name.endsWith(` ${attachment.name}`))
  );
  return { parent: indexes.find((each) => each !== child), child };
}
