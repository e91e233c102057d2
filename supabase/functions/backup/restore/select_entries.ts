/**
 * Which entries of a backup a request is about, and which further ones those need.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { quoteIdentifier } from "../postgres/quote.ts";
import { EntryIndex, isRows, isTable, isTablePart, sqlNameOf } from "./entry_index.ts";
import type { RestoreRequest } from "./plan_types.ts";

/** Entries of the cluster: they live outside any database. */
const CLUSTER_KINDS = ["role", "role-membership", "role-setting", "tablespace"];

/** Whether an entry belongs to the cluster. */
export function isOfCluster(entry: Entry): boolean {
  return CLUSTER_KINDS.includes(entry.kind);
}

/** What a request is about. */
export interface Selection {
  /** Restored as the backup has them. */
  selected: Set<Entry>;
  /** Made when the target lacks them, and otherwise left as they are. */
  needed: Set<Entry>;
  /** Names in the request that the backup does not hold. */
  unknown: string[];
  /** Whether the request is about the whole backup. */
  everything: boolean;
}

/** Picks the entries of a request. */
export function selectEntries(index: EntryIndex, request: RestoreRequest): Selection {
  const schemas = request.schemas ?? [];
  const tables = request.tables ?? [];
  if (schemas.length === 0 && tables.length === 0) {
    return { selected: new Set(index.entries), needed: new Set(), unknown: [], everything: true };
  }
  const { found, unknown } = tablesNamed(index, tables);
  const selected = new Set<Entry>();
  for (const schema of schemas) {
    const inside = index.entries.filter((entry) =>
      entry.schema === schema || (entry.kind === "schema" && entry.name === schema)
    );
    if (inside.length === 0) unknown.push(schema);
    for (const entry of inside) selected.add(entry);
  }
  for (const table of found) {
    for (const entry of tableWithParts(index, table)) selected.add(entry);
  }
  return withNeeded(index, { selected, unknown });
}

/** Chosen entries, with those that they need. */
export function withNeeded(
  index: EntryIndex,
  { selected, unknown }: Pick<Selection, "selected" | "unknown">,
): Selection {
  const needed = new Set<Entry>();
  for (const entry of index.withDependencies(selected)) {
    if (!selected.has(entry)) needed.add(entry);
  }
  for (const role of rolesNamed(index, [...selected])) needed.add(role);
  return { selected, needed, unknown, everything: false };
}

/** The tables of these names, and the names of none. */
export function tablesNamed(
  index: EntryIndex,
  names: readonly string[],
): { found: Entry[]; unknown: string[] } {
  const tables = new Map<string, Entry>();
  // Backwards, so that of two that answer to a name the first one does.
  for (const entry of names.length === 0 ? [] : index.entries.filter(isTable).toReversed()) {
    for (const name of namesOf(entry)) tables.set(name, entry);
  }
  return {
    found: names.flatMap((name) => tables.get(name) ?? []),
    unknown: names.filter((name) => !tables.has(name)),
  };
}

/** How it may be called: `schema.table`, quoted or not; without a schema `public` is meant. */
function namesOf({ schema, name }: Entry): string[] {
  if (schema === null) return [];
  const qualified = [`${schema}.${name}`, `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`];
  return schema === "public" ? [...qualified, name] : qualified;
}

/** A table, its partitions, its own sequences, rows, indexes, constraints, triggers and policies. */
export function tableWithParts(index: EntryIndex, table: Entry): Set<Entry> {
  const found = new Set<Entry>([table]);
  for (const entry of found) {
    for (const dependent of index.dependents(entry)) {
      if (isTablePart(dependent)) {
        const owner = index.tableOf(dependent);
        if (owner === undefined || found.has(owner)) found.add(dependent);
        // A partition comes with its parent.
        else if (dependent.kind === "table-attach") found.add(owner).add(dependent);
      } else if (isRows(dependent)) found.add(dependent);
      else if (dependent.kind === "sequence" && isOwnSequence(dependent, entry)) {
        found.add(dependent);
        // Of a serial column this entry only says whose the sequence is; its value comes with itself.
        for (const sequence of index.dependencies(dependent)) {
          if (sequence.kind === "sequence") found.add(sequence);
        }
      }
    }
  }
  return found;
}

function isOwnSequence(sequence: Entry, table: Entry): boolean {
  return isTable(table) && sequence.schema === table.schema &&
    sequence.statements.create.some((sql) => sql.includes(sqlNameOf(table)));
}

/** Role entries whose names occur as owner or in the rights of the given entries. */
function rolesNamed(index: EntryIndex, entries: readonly Entry[]): Entry[] {
  const owners = new Set(entries.map((entry) => entry.owner));
  const rights = entries.flatMap((entry) => entry.statements.acl).join("\n");
  return index.entries.filter((entry) =>
    entry.kind === "role" &&
    (owners.has(entry.name) || rights.includes(quoteIdentifier(entry.name)))
  );
}
