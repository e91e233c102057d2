/**
 * When partitions that are made again join a table that stays.
 *
 * A table that has indexes gives them to whatever is attached, under names of the server's choice, unless
 * the partition brings its own. So such a partition is attached after its indexes are built.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { EntryIndex, isTable } from "./entry_index.ts";

/** Entries to make, where attachments to tables that stay wait for the partition's indexes. */
export function attachLate(create: readonly Entry[]): Entry[] {
  if (create.every((entry) => entry.kind !== "table-attach")) return [...create];
  const index = new EntryIndex(create);
  const made = new Set(create.map((entry) => entry.key));
  const late = create.filter((entry) => {
    if (entry.kind !== "table-attach") return false;
    const partition = index.tableOf(entry);
    const isRouted = index.dependents(partition ?? entry).some((each) => each.table?.loadRoot);
    return partition !== undefined && !isRouted && partition.table?.loadRoot === undefined &&
      entry.dependsOn.some((key) => key.startsWith("pg_class:") && !made.has(key));
  });
  if (late.length === 0) return [...create];
  const needs = new Map(create.map((entry) => [entry, new Set(entry.dependsOn)]));
  const before = (first: Entry, then: Entry) => {
    needs.get(first)!.delete(then.key);
    needs.get(then)!.add(first.key);
  };
  const attachmentOf = new Map(late.map((entry) => [index.tableOf(entry), entry]));
  for (const entry of create) {
    if (entry.kind === "foreign-key") {
      // It would be checked against a table that still lacks the rows of these partitions.
      for (const attachment of late) {
        if (sharesTable(entry, attachment, index)) before(attachment, entry);
      }
    } else if (entry.kind === "index" || entry.kind === "constraint") {
      const attachment = attachmentOf.get(index.tableOf(entry));
      if (attachment !== undefined) before(entry, attachment);
    } else if (entry.kind === "index-attach") {
      for (const each of index.dependencies(entry)) {
        const attachment = attachmentOf.get(index.tableOf(each));
        if (attachment === undefined) continue;
        const isChild = each.name === entry.name || each.name.endsWith(` ${entry.name}`);
        if (isChild) before(attachment, entry);
        else before(entry, attachment);
      }
    }
  }
  return create.map((entry) => {
    const dependsOn = [...needs.get(entry)!];
    return late.includes(entry)
      ? { ...entry, section: "post-data" as const, dependsOn }
      : { ...entry, dependsOn };
  });
}

/** Whether a foreign key names the table that a partition is attached to. */
function sharesTable(key: Entry, attachment: Entry, index: EntryIndex): boolean {
  const partition = index.tableOf(attachment);
  return attachment.dependsOn.some((each) =>
    each !== partition?.key && key.dependsOn.includes(each)
  ) || index.dependencies(key).some((each) => isTable(each) && each === partition);
}
