/**
 * What live tables keep from a partitioned table that let them go.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { type EntryIndex, isTable, sqlNameOf } from "./entry_index.ts";

/**
 * Finds foreign keys and triggers of live tables that become partitions again, which came from the
 * partitioned table: attaching brings them back, and would fail on those that are there.
 *
 * @param backup what is restored
 */
export function leftByFormerParents(backup: readonly Entry[], live: EntryIndex): Entry[] {
  const attachments = backup.filter((entry) => entry.kind === "table-attach");
  if (attachments.length === 0) return [];
  const byKey = new Map(backup.map((entry) => [entry.key, entry]));
  const known = new Set(backup.map((entry) => entry.identity));
  return attachments.flatMap((attachment) => {
    if (live.byIdentity(attachment.identity) !== undefined) return [];
    const tables = attachment.dependsOn.flatMap((key) => byKey.get(key) ?? []).filter(isTable);
    const child = tables.find(({ schema, name }) =>
      schema === attachment.schema && name === attachment.name
    );
    const parent = tables.find((table) => table !== child);
    if (child === undefined || parent === undefined) return [];
    return live.entries.filter((entry) => {
      if (!["foreign-key", "trigger"].includes(entry.kind) || known.has(entry.identity)) {
        return false;
      }
      if (live.tableOf(entry)?.identity !== child.identity) return false;
      const of = (table: Entry) => ` ON ${sqlNameOf(table)}`;
      return known.has(entry.identity.replace(of(child), () => of(parent)));
    });
  });
}
