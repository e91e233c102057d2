/**
 * The SQL that makes one table, out of the entries of a database.
 *
 * @module
 */
import type { ExportedDefinition, ExportedNeed } from "../../core/export_format.ts";
import type { Entry, EntryKind } from "../../core/model.ts";

/** What belongs to a table and needs nothing of others but what {@linkcode NEEDS} names. */
const OWN: readonly EntryKind[] = [
  "sequence",
  "default",
  "check-constraint",
  "constraint",
  "index",
  "row-security",
];

const NEEDS: readonly EntryKind[] = ["schema", "type", "sequence"];

/** Finds definitions in the entries of one database. */
export class TableDefinitions {
  readonly #byKey: ReadonlyMap<string, Entry>;
  /** By the key of their table. */
  readonly #own = new Map<string, Entry[]>();
  readonly #place: ReadonlyMap<string, number>;

  constructor(entries: readonly Entry[]) {
    this.#byKey = new Map(entries.map((entry) => [entry.key, entry]));
    this.#place = new Map(entries.map((entry, index) => [entry.key, index]));
    for (const entry of entries) {
      if (!OWN.includes(entry.kind)) continue;
      for (const key of entry.dependsOn) {
        if (this.#byKey.get(key)?.kind !== "table") continue;
        // What spans two tables belongs to the one that it is of: sequences come after their table.
        if (!this.#isOf(entry, key)) continue;
        this.#own.set(key, [...(this.#own.get(key) ?? []), entry]);
      }
    }
  }

  /** The definition of the table whose rows an entry is of; undefined where the entries lack it. */
  of({ table }: Entry): ExportedDefinition | undefined {
    const entry = this.#byKey.get(`pg_class:${table?.oid}`);
    if (entry === undefined || entry.kind !== "table" || entry.extension !== undefined) {
      return undefined;
    }
    const own = [entry, ...(this.#own.get(entry.key) ?? [])];
    const statements = (section: Entry["section"]) =>
      own.filter((each) => each.section === section)
        .flatMap((each) => [...each.statements.create, ...each.statements.comment]);
    return {
      needs: this.#needs(own),
      before: statements("pre-data"),
      after: statements("post-data"),
    };
  }

  #isOf(entry: Entry, key: string): boolean {
    const table = this.#byKey.get(key)!;
    if (entry.kind === "sequence" || entry.kind === "index") return true;
    return entry.schema === table.schema && entry.name.startsWith(table.name);
  }

  #needs(own: readonly Entry[]): ExportedNeed[] {
    const found = new Map<string, Entry>();
    const owned = new Set(own.map((entry) => entry.key));
    const follow = (entry: Entry) => {
      for (const key of entry.dependsOn) {
        const needed = this.#byKey.get(key);
        if (needed === undefined || owned.has(key) || found.has(key)) continue;
        if (!NEEDS.includes(needed.kind)) continue;
        found.set(key, needed);
        follow(needed);
      }
    };
    own.forEach(follow);
    return [...found.values()]
      .sort((a, b) => this.#place.get(a.key)! - this.#place.get(b.key)!)
      .flatMap(({ kind, schema, name, statements: { create } }) =>
        kind === "schema" || kind === "type" || kind === "sequence"
          ? [{ kind, schema, name, create }]
          : []
      );
  }
}
