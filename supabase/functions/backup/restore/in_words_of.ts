/**
 * Tells what a server only prints otherwise from what is different.
 *
 * PostgreSQL does not always print of a definition what it was given: of `code IN ('a', 'b')` over a
 * varchar column it first prints a cast of the whole list, and once that was run, a cast of every element.
 * So the backup's statement is run on the target, beside the live object and taken back at once; when the
 * server then prints what it prints of the live object, the two are the same.
 *
 * @module
 */
import type { Entry, EntryKind } from "../core/model.ts";
import { quoteIdentifier, quoteQualified } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import { digestOf } from "./digest.ts";
import { EntryIndex, isTable } from "./entry_index.ts";
import { silenceEventTriggers } from "./event_triggers.ts";
import { HashedNames } from "./hashed_names.ts";
import { tryStatements } from "./run_statements.ts";
import type { LineHashes } from "./slim_lines.ts";
import { sameList, withStatements } from "./statements.ts";

/** Kinds whose statements hold expressions, queries or bodies that the server prints. */
const PRINTED: readonly EntryKind[] = [
  "check-constraint",
  "constraint",
  "default",
  "domain-constraint",
  "function",
  "index",
  "materialized-view",
  "policy",
  "rule",
  "statistics",
  "table",
  "table-attach",
  "trigger",
  "type",
  "view",
];

/** Objects that are made at a time: each holds locks until they are taken back. */
const BATCH = 200;

/** Reads the entries of some schemas only. */
export type ReadSchemas = (session: Session, schemas: readonly string[]) => Promise<Entry[]>;

/** What {@linkcode inWordsOf} compares and how it reaches the target. */
export interface InWordsInput {
  /** Those that the target has, and what they need. */
  backup: readonly Entry[];
  /** Entries of the target. */
  actual: readonly Entry[];
  session: Session;
  readSchemas: ReadSchemas;
}

/**
 * The entries of the target, where those that only read otherwise have the statements of the backup.
 * Nothing stays behind in the target, and no live object is touched: an object whose statement fails
 * there, for want of a right too, keeps its own words.
 */
export async function inWordsOf(input: InWordsInput): Promise<Entry[]> {
  const { backup, actual } = input;
  const live = new EntryIndex(actual);
  const differing = differingInPrint(backup, live);
  if (differing.length === 0) return [...actual];
  const index = new EntryIndex(backup);
  const create = new Map<string, string[]>();
  for (let at = 0; at < differing.length; at += BATCH) {
    const batch = differing.slice(at, at + BATCH);
    const printed = await takenBack(input.session, () => printAgain(batch, { ...input, index }));
    for (const entry of batch) {
      const again = printed?.get(entry.identity);
      const there = live.byIdentity(entry.identity)!;
      if (again !== undefined && sameList(again, there.statements.create)) {
        create.set(there.key, entry.statements.create);
      }
    }
  }
  return actual.map((entry) => {
    const words = create.get(entry.key);
    return words === undefined ? entry : withStatements(entry, { create: words });
  });
}

/**
 * Entries that the target has too, in other words: the server may only print them otherwise. Not those without
 * statements of their own, as of an extension: nothing would be printed.
 */
export function differingInPrint(backup: readonly Entry[], live: EntryIndex): Entry[] {
  return backup.filter(({ kind, schema, identity, statements }) => {
    if (!PRINTED.includes(kind) || schema === null) return false;
    const there = live.byIdentity(identity);
    if (there === undefined) return false;
    const { create } = statements;
    return create.length > 0 && !sameList(create, there.statements.create);
  });
}

/** Lines of a backup with entries that the target has in other words; a few more, whose hashes are alike. */
export function linesInOtherWords(
  actual: readonly Entry[],
  { identities, prints }: LineHashes,
): number[] {
  const named = HashedNames.ofHashes(identities);
  return actual.flatMap(({ kind, schema, identity, statements: { create } }) => {
    if (!PRINTED.includes(kind) || schema === null) return [];
    const lines = named.find([identity]);
    if (lines.length === 0) return [];
    const [print] = digestOf(create);
    return lines.filter((line) => prints[line] !== print);
  });
}

/** Does something of which nothing stays, in the open transaction or in one of its own. */
async function takenBack<T>(session: Session, work: () => Promise<T>): Promise<T> {
  const inside = session.inTransaction;
  await session.execute(inside ? "SAVEPOINT taken_back" : "BEGIN");
  // After an error of the connection the server takes everything back by itself.
  const result = await work();
  await session.execute(
    inside ? "ROLLBACK TO SAVEPOINT taken_back; RELEASE SAVEPOINT taken_back" : "ROLLBACK",
  );
  return result;
}

/** Makes entries in schemas of their own; what the server prints of them then, by identity. */
async function printAgain(
  entries: readonly Entry[],
  { actual, session, readSchemas, index }: InWordsInput & { index: EntryIndex },
): Promise<Map<string, string[]>> {
  // Queries of others that hold a table for long are not worth the wait.
  await session.execute("SET LOCAL lock_timeout = 2000");
  await silenceEventTriggers(session);
  const places = new Places(actual, entries);
  const identity = "definitions to compare";
  if (await tryStatements(session, places.create(), { identity }) !== null) return new Map();
  const made = new Map<Entry, string[]>();
  const make = (entry: Entry, names: readonly Entry[]) => {
    if (made.has(entry)) return;
    made.set(entry, entry.statements.create.map((sql) => places.moved(sql, names)));
  };
  for (const entry of entries) {
    const hosts = hostsOf(entry, index);
    for (const host of hosts) make(host, [host]);
    const functions = functionsOnRows(entry, { hosts, index });
    for (const each of functions) make(each, [each, ...hosts]);
    make(entry, [entry, ...functions, ...hosts]);
  }
  await runWhatRuns(session, [...made.values()]);
  const read = await readSchemas(session, places.names);
  return new Map(read.map((entry) => [
    places.back(entry.identity),
    entry.statements.create.map((sql) => places.back(sql)),
  ]));
}

/** Runs the statements of each object; many at once, and one by one only where some of them fail. */
async function runWhatRuns(session: Session, objects: readonly string[][]): Promise<void> {
  const identity = "definitions to compare";
  for (let at = 0; at < objects.length; at += 25) {
    const some = objects.slice(at, at + 25);
    if (await tryStatements(session, some.flat(), { identity }) === null) continue;
    for (const statements of some) await tryStatements(session, statements, { identity });
  }
}

/** What an entry is a part of and cannot be made without: its table, the table above it, its domain. */
function hostsOf(entry: Entry, index: EntryIndex): Entry[] {
  if (isTable(entry) || entry.kind === "function" || entry.kind === "type") return [];
  const needed = index.dependencies(entry);
  if (entry.kind === "table-attach") return needed.filter(isTable);
  const host = entry.kind === "domain-constraint"
    ? needed.find((each) => each.kind === "type" && entry.name.startsWith(`${each.name} `))
    : index.tableOf(entry);
  return host === undefined ? [] : [host];
}

/** Functions that an entry gives rows of its table to: the row type is another one beside the live table. */
function functionsOnRows(
  entry: Entry,
  { hosts, index }: { hosts: readonly Entry[]; index: EntryIndex },
): Entry[] {
  return index.dependencies(entry).filter((each) =>
    each.kind === "function" && each.schema !== null &&
    index.dependencies(each).some((needed) => hosts.includes(needed))
  );
}

/** Schemas that stand for those of the backup. */
class Places {
  readonly #byName = new Map<string, string>();

  constructor(actual: readonly Entry[], entries: readonly Entry[]) {
    const taken = actual.flatMap((entry) => entry.kind === "schema" ? [entry.name] : []);
    let prefix = "supabase_backup_again_";
    while (taken.some((name) => name.startsWith(prefix))) prefix += "_";
    for (const { schema } of entries) {
      if (this.#byName.has(schema!)) continue;
      this.#byName.set(schema!, `${prefix}${this.#byName.size}`);
    }
  }

  get names(): string[] {
    return [...this.#byName.values()];
  }

  create(): string[] {
    return this.names.map((name) => `CREATE SCHEMA ${quoteIdentifier(name)}`);
  }

  /** A statement in which these objects stand in the place of their schema. */
  moved(sql: string, objects: readonly Entry[]): string {
    let moved = sql;
    for (const { schema, name } of objects) {
      const place = this.#byName.get(schema!);
      if (place === undefined) continue;
      moved = moved.replaceAll(
        quoteQualified(schema!, name),
        () => quoteQualified(place, name),
      );
    }
    return moved;
  }

  /** A text with every place named as the schema that it stands for. */
  back(text: string): string {
    let back = text;
    for (const [schema, place] of this.#byName) {
      back = back.replaceAll(quoteIdentifier(place), () => quoteIdentifier(schema));
    }
    return back;
  }
}
