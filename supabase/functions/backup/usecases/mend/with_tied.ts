/**
 * Which tables of a database come and go together.
 *
 * @module
 */
import type { TableLook } from "./look_at_tables.ts";

/** What ties a table to others; names are quoted and qualified. */
export interface TiedTable {
  sqlName: string;
  rows: number;
  partitionOf: string | null;
  refersTo: readonly string[];
  look: TableLook;
}

/**
 * Lost tables with those that were lost with them, or without which they cannot come back: emptied ones that
 * their rows refer to; emptied ones whose rows referred to them, and went by the same TRUNCATE or DELETE; and
 * partitions of a table that is gone.
 */
export function withTied<T extends TiedTable>(start: readonly T[], all: readonly T[]): Set<T> {
  const tables = new Map(all.map((table) => [table.sqlName, table]));
  // A key of a partitioned table is one of its partitions, and leads to each of them.
  const namesOf = ({ sqlName, partitionOf }: T) =>
    partitionOf === null ? [sqlName] : [sqlName, partitionOf];
  const parentsOf = (table: T) =>
    namesOf(table).flatMap((name) => tables.get(name)?.refersTo ?? []);
  const lost = all.filter(({ rows, look }) =>
    !look.isThere || (rows > 0 && look.hasRows === false)
  );
  const emptied = lost.filter(({ look }) => look.isThere);
  const byName = groupBy(emptied, namesOf);
  const byParent = groupBy(emptied, parentsOf);
  const partitions = groupBy(
    lost.filter(({ look }) => !look.isThere),
    ({ partitionOf }) => partitionOf === null ? [] : [partitionOf],
  );
  const found = new Set(start);
  for (const table of found) {
    for (const name of parentsOf(table)) byName.get(name)?.forEach((each) => found.add(each));
    const went = table.look.isThere
      ? namesOf(table).flatMap((name) => byParent.get(name) ?? [])
      : partitions.get(table.sqlName) ?? [];
    for (const each of went) found.add(each);
  }
  return found;
}

function groupBy<T>(all: readonly T[], keysOf: (one: T) => readonly string[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    for (const key of keysOf(one)) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [one]);
      else group.push(one);
    }
  }
  return groups;
}
