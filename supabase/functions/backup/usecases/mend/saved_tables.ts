/**
 * What a backup knows of the tables that a database is assessed by.
 *
 * @module
 */
import type { DataPart, Entry } from "../../core/model.ts";
import { quoteQualified } from "../../postgres/quote.ts";
import type { Repository } from "../../repository/mod.ts";
import { isLoginTable } from "../../restore/mod.ts";
import type { ComparedTable } from "./judge_tables.ts";
import type { NamedTable } from "./look_at_tables.ts";

/** A table of the backup, and how many rows it held. */
export type SavedTable = NamedTable & Omit<ComparedTable, "look">;

/** Tables that are looked at: those with the most rows. */
const MOST_TABLES = 5000;

/** What the platform keeps of the project, and how its loss counts. */
const PLATFORMS: Record<string, "users" | "files"> = {
  '"auth"."users"': "users",
  '"storage"."buckets"': "files",
  '"storage"."objects"': "files",
};

/**
 * The project's own tables, its users with what belongs to them, and its files. Others of the platform and those of
 * extensions come and go with other things.
 */
export async function readSavedTables(
  repository: Repository,
  { backupId, signal }: { backupId: string; signal: AbortSignal },
): Promise<SavedTable[]> {
  const { manifest } = await repository.readBackup(backupId);
  const reading = new Reading();
  for await (const entry of repository.readLines<Entry>(manifest.entries, { signal })) {
    reading.add(entry);
  }
  for await (const part of repository.readLines<DataPart>(manifest.dataParts, { signal })) {
    reading.count(part);
  }
  return reading.tables().sort((a, b) => b.rows - a.rows).slice(0, MOST_TABLES);
}

/** Tables as they are put together; what belongs to a table comes behind it. */
class Reading {
  readonly #byName = new Map<string, SavedTable & { refersTo: string[] }>();
  /** Names of tables, by the keys of their entries and by those of their rows. */
  readonly #names = new Map<string, string>();
  readonly #ofRows = new Map<string, string>();

  add(entry: Entry): void {
    const { kind, key, schema, name, table } = entry;
    if (schema === null || entry.extension !== undefined) return;
    if (kind === "foreign-key") return this.#refer(entry);
    const sqlName = quoteQualified(schema, name);
    if (kind === "table" && !isForeign(entry)) {
      const holds = holdsOf(entry, sqlName);
      if (holds === null) return;
      this.#names.set(key, sqlName);
      this.#byName.set(sqlName, {
        ...{ schema, name, sqlName, holds, rows: 0, columns: [], refersTo: [] },
        ...{ partitionOf: null, isUnlogged: false },
      });
    }
    const known = this.#byName.get(sqlName);
    if (known === undefined) return;
    if (kind === "table-attach") {
      known.partitionOf = this.#tablesOf(entry).find((each) => each !== sqlName) ?? null;
    }
    if (kind !== "table-data") return;
    this.#ofRows.set(key, sqlName);
    known.isUnlogged = table?.persistence === "u";
    known.columns = table?.columns.map((column) => column.name) ?? [];
  }

  /** Its name begins with that of its table, and it depends on both. */
  #refer(entry: Entry): void {
    const named = this.#tablesOf(entry);
    const owner = named.map((name) => this.#byName.get(name)!).find(({ schema, name }) =>
      schema === entry.schema && entry.name.startsWith(`${name} `)
    );
    owner?.refersTo.push(...named.filter((name) => name !== owner.sqlName));
  }

  #tablesOf({ dependsOn }: Entry): string[] {
    return dependsOn.flatMap((key) => this.#names.get(key) ?? []);
  }

  count({ entry, rows }: DataPart): void {
    const table = this.#byName.get(this.#ofRows.get(entry) ?? "");
    if (table !== undefined) table.rows += rows;
  }

  tables(): SavedTable[] {
    return [...this.#byName.values()];
  }
}

/** Null for what does not count. */
function holdsOf(entry: Entry, sqlName: string): SavedTable["holds"] | null {
  if (entry.managed !== true) return "own";
  if (entry.schema === "auth" && PLATFORMS[sqlName] === undefined && !isLoginTable(entry)) {
    return "of-users";
  }
  return PLATFORMS[sqlName] ?? null;
}

function isForeign({ statements }: Entry): boolean {
  return statements.create.some((sql) => sql.startsWith("CREATE FOREIGN TABLE"));
}
