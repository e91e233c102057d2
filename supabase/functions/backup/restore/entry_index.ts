/**
 * Entries, findable by key and identity, with who depends on whom.
 *
 * @module
 */
import { type Entry, type EntryKind, PARTS_OF_RELATIONS } from "../core/model.ts";
import { quoteQualified } from "../postgres/quote.ts";

/** Kinds whose entries are rows, not definitions. */
const ROW_KINDS: readonly EntryKind[] = ["table-data", "sequence-set", "large-object-data"];

/** Whether an entry stands for rows. */
export function isRows(entry: Entry): boolean {
  return ROW_KINDS.includes(entry.kind);
}

/** Whether an entry is a part of a table. */
export function isTablePart(entry: Entry): boolean {
  return PARTS_OF_RELATIONS.includes(entry.kind);
}

/** Whether an entry is a relation of its own: table, view, materialized view. */
export function isTable(entry: Entry): boolean {
  return ["table", "view", "materialized-view"].includes(entry.kind);
}

/** Quoted and qualified name of a table, or of the table that rows belong to. */
export function sqlNameOf(entry: Entry): string {
  return entry.table?.sqlName ?? quoteQualified(entry.schema ?? "public", entry.name);
}

/** An index over a fixed list of entries. Of tens of thousands each kind of look-up is made ready when it is asked for. */
export class EntryIndex {
  readonly entries: readonly Entry[];
  #byIdentity: ReadonlyMap<string, Entry> | undefined;
  #position: ReadonlyMap<string, number> | undefined;
  #dependents: ReadonlyMap<string, Entry[]> | undefined;

  constructor(entries: readonly Entry[]) {
    this.entries = entries;
  }

  /** The same with entries in other words, and with those that are new behind them. */
  replacing(others: readonly Entry[]): EntryIndex {
    const entries = [...this.entries];
    const added = new Map<string, Entry>();
    for (const entry of others) {
      const position = this.position(entry);
      if (position < entries.length) entries[position] = entry;
      else added.set(entry.key, entry);
    }
    const index = new EntryIndex([...entries, ...added.values()]);
    if (added.size === 0) index.#position = this.#position;
    return index;
  }

  byKey(key: string): Entry | undefined {
    const position = this.#positionOf(key);
    return position === undefined ? undefined : this.entries[position];
  }

  byIdentity(identity: string): Entry | undefined {
    this.#byIdentity ??= new Map(this.entries.map((entry) => [entry.identity, entry]));
    return this.#byIdentity.get(identity);
  }

  /** Place in restore order. */
  position(entry: Entry): number {
    return this.#positionOf(entry.key) ?? Number.MAX_SAFE_INTEGER;
  }

  #positionOf(key: string): number | undefined {
    if (this.#position === undefined) {
      const position = new Map<string, number>();
      this.entries.forEach((entry, at) => position.set(entry.key, at));
      this.#position = position;
    }
    return this.#position.get(key);
  }

  /** Entries that name this one in `dependsOn`. */
  dependents(entry: Entry): Entry[] {
    this.#dependents ??= dependentsAmong(this.entries);
    return this.#dependents.get(entry.key) ?? [];
  }

  /** Entries that this one names in `dependsOn`. */
  dependencies(entry: Entry): Entry[] {
    return entry.dependsOn.flatMap((key) => this.byKey(key) ?? []);
  }

  /**
   * Everything that cannot stand without the given entries, themselves included. Rows are followed
   * only to themselves: that one table is loaded before another does not tie their definitions.
   */
  withDependents(start: Iterable<Entry>): Set<Entry> {
    const found = new Set<Entry>(start);
    for (const entry of found) {
      if (isRows(entry)) continue;
      for (const dependent of this.dependents(entry)) found.add(dependent);
    }
    return found;
  }

  /** Everything that the given entries need, themselves included. */
  withDependencies(start: Iterable<Entry>): Set<Entry> {
    const found = new Set<Entry>(start);
    for (const entry of found) {
      for (const dependency of this.dependencies(entry)) {
        if (!isRows(dependency)) found.add(dependency);
      }
    }
    return found;
  }

  /** The relation that a part of a table belongs to. */
  tableOf(entry: Entry): Entry | undefined {
    const tables = this.dependencies(entry).filter((each) => isTable(each));
    // A foreign key and an attachment name two tables; the owner is the one that the tag begins with.
    return tables.find((table) =>
      table.schema === entry.schema &&
      (entry.name === table.name || entry.name.startsWith(`${table.name} `))
    ) ?? tables[0];
  }

  /** Every table that an entry touches, through indexes and constraints too. */
  tablesTouched(entry: Entry): Set<string> {
    const tables = new Set<string>();
    const seen = new Set([entry]);
    for (const each of seen) {
      if (isTable(each)) tables.add(each.key);
      for (const key of each.dependsOn) {
        const dependency = this.byKey(key);
        if (dependency === undefined) continue;
        if (isTable(dependency)) tables.add(key);
        else if (dependency.section === "post-data") seen.add(dependency);
      }
    }
    return tables;
  }
}

function dependentsAmong(entries: readonly Entry[]): Map<string, Entry[]> {
  const dependents = new Map<string, Entry[]>();
  for (const entry of entries) {
    for (const key of entry.dependsOn) {
      const list = dependents.get(key);
      if (list === undefined) dependents.set(key, [entry]);
      else list.push(entry);
    }
  }
  return dependents;
}
