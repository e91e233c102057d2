/**
 * Which entries of a backup bring back what is lost of some tables, and nothing that is there.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Entry } from "../core/model.ts";
import { type EntryIndex, isRows, isTable } from "./entry_index.ts";
import type { Missing, RestoreRequest } from "./plan_types.ts";
import { isSameInBinary } from "./same_in_binary.ts";
import { type Selection, tablesNamed, tableWithParts, withNeeded } from "./select_entries.ts";

/**
 * Of a table that stands its rows, and what was made of them; of one that is gone all of it, and all that
 * cannot have stood without it: views, foreign keys of other tables. A schema that is gone comes back whole.
 *
 * @param request `made`: identities of what was gone and a restore that was broken off was going to make
 * @throws {BackupError} `invalid_request` together with what chooses otherwise
 */
export function selectLost(
  index: EntryIndex,
  live: EntryIndex,
  { made = new Set(), ...request }: RestoreRequest & { made?: ReadonlySet<string> },
): Selection {
  refuseOtherChoices(request);
  const { found, unknown } = tablesNamed(index, request.tables ?? []);
  const isMissing = ({ identity }: Entry) => live.byIdentity(identity) === undefined;
  const wasMissing = (entry: Entry) => isMissing(entry) || made.has(entry.identity);
  const gone = new Set<Entry>();
  const standing = new Set<Entry>();
  for (const table of found) {
    for (const each of tableWithParts(index, table)) {
      if (!isTable(each)) continue;
      if (wasMissing(each)) gone.add(each);
      // A partition that has outlived its table holds what it holds.
      if (!isMissing(each) && !isMissing(table)) standing.add(each);
    }
  }
  const selected = new Set([...standing].flatMap((table) => rowsOf(index, live, table)));
  for (const entry of fallenWithTables(index, live, gone)) {
    if (wasMissing(entry)) selected.add(entry);
  }
  for (const entry of index.withDependents(standing)) {
    if (entry.kind === "refresh") selected.add(entry);
  }
  return withNeeded(index, { selected, unknown });
}

function refuseOtherChoices({ tables = [], ...request }: RestoreRequest): void {
  const others = (["schemas", "intoSchema", "schemaOnly"] as const).filter((name) => {
    const value = request[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
  });
  if (others.length === 0 && tables.length > 0) return;
  throw new BackupError(
    "invalid_request",
    tables.length === 0
      ? "Cannot restore only what is lost: no tables are named"
      : `Cannot restore only what is lost: ${
        others.join(", ")
      } cannot be asked for together with it`,
  );
}

/** The rows of a table that stands, and its counters where those of the backup are further on. */
function rowsOf(index: EntryIndex, live: EntryIndex, table: Entry): Entry[] {
  return [...tableWithParts(index, table)].filter((entry) =>
    entry.kind === "sequence-set"
      ? isFurtherOn(index, entry, live.byIdentity(entry.identity))
      : isRows(entry) && index.tableOf(entry) === table
  );
}

/**
 * Whether a counter of the backup is further on than the one that is there: numbers that were given since
 * must not be given again.
 */
export function isFurtherOn(index: EntryIndex, saved: Entry, there: Entry | undefined): boolean {
  if (there?.sequence === undefined || saved.sequence === undefined) return there === undefined;
  const [one, other] = [BigInt(saved.sequence.lastValue), BigInt(there.sequence.lastValue)];
  if (one === other) return saved.sequence.isCalled && !there.sequence.isCalled;
  const countsDown = index.dependencies(saved).some(({ statements }) =>
    statements.create.some((sql) => /\sINCREMENT BY -/.test(sql))
  );
  return countsDown ? one < other : one > other;
}

/** What went with tables that are gone. */
function* fallenWithTables(
  index: EntryIndex,
  live: EntryIndex,
  gone: ReadonlySet<Entry>,
): Generator<Entry> {
  yield* index.withDependents([...gone].flatMap((table) => [...tableWithParts(index, table)]));
  const schemas = new Set([...gone].map(({ schema }) => schema));
  for (const { kind, name } of live.entries) if (kind === "schema") schemas.delete(name);
  for (const entry of index.entries) {
    const schema = entry.kind === "schema" ? entry.name : entry.schema;
    if (schema !== null && schemas.has(schema)) yield entry;
  }
}

/** Tables that are gone and not restored, though something that is restored needs them. */
export function lackedTables(
  index: EntryIndex,
  live: EntryIndex,
  { selected, needed }: Selection,
): Missing[] {
  const lacked = [...needed].filter((entry) =>
    entry.kind === "table" && live.byIdentity(entry.identity) === undefined
  );
  return lacked.map((table) => {
    const needing = index.dependents(table).find((entry) => selected.has(entry));
    return {
      what: "object",
      name: table.identity,
      reason: `${needing?.identity ?? "what is restored"} needs it, and it is gone, too`,
    };
  });
}

/**
 * Columns of tables that stand into which their saved rows do not go: rows in binary form would be read as
 * what they are not.
 */
export function unlikeColumns(live: EntryIndex, { selected }: Selection): Missing[] {
  const unlike: Missing[] = [];
  for (const { identity, kind, table } of selected) {
    const there = live.byIdentity(identity)?.table;
    if (kind !== "table-data" || table === undefined || there === undefined) continue;
    const columns = new Map(there.columns.map((column) => [column.name, column]));
    for (const { name, typeName, generated } of table.columns) {
      if (generated !== "") continue;
      const found = columns.get(name);
      if (found !== undefined && isSameInBinary(found.typeName, typeName)) continue;
      unlike.push({
        ...{ what: "object", name: `column ${name} of ${table.sqlName}` },
        reason: `the backup has it as ${typeName}, and the table ` +
          (found === undefined ? "has none of that name" : `as ${found.typeName}`),
      });
    }
  }
  return unlike;
}
