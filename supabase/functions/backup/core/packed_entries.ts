/**
 * Entries of very many objects as they can be held in memory: what a plan looks at of all of them stands by
 * itself, and the statements and facts that are asked for one at a time are packed. They are a seventh of the
 * bytes or less, and behave alike.
 *
 * @module
 */
import type { DataPart, Entry, EntryStatements, TableData, TableFacts } from "./model.ts";
import { PackedList } from "./packed_json.ts";

/** Most entries have nothing to say of most things: they share one empty list, frozen against additions. */
const NOTHING = Object.freeze([]) as unknown as string[];

/** What is packed of an entry. */
interface EntryDetails {
  statements: EntryStatements;
  table?: TableFacts;
}

/**
 * Packs values as they come. What it gives is read and written as JSON like what was packed. An entry can be copied
 * with `...`, too; its `statements` and `table`, table data and parts cannot, nor do they list the names of what
 * they have: `withStatements` copies an entry with other statements.
 */
export class EntryPacker {
  readonly #entries = new PackedList<EntryDetails>();
  readonly #tableData = new PackedList<TableData>();
  readonly #dataParts = new PackedList<DataPart>();
  /** Texts that several of them have: each once. */
  readonly #texts = new Map<string, string>();

  entry(entry: Entry): Entry {
    const {
      key,
      kind,
      section,
      schema,
      name,
      identity,
      owner,
      statements,
      dependsOn,
      table,
      ...more
    } = entry;
    const place = this.#entries.push(table === undefined ? { statements } : { statements, table });
    // Made of one piece, which is a third smaller than what is put together.
    const packed: Entry = {
      key: this.#text(key),
      kind: this.#text(kind),
      section: this.#text(section),
      schema: schema === null ? null : this.#text(schema),
      name,
      identity,
      owner: owner === null ? null : this.#text(owner),
      statements: new PackedStatements(this.#entries, place, listsIn(statements)),
      dependsOn: dependsOn.length === 0 ? NOTHING : dependsOn.map((needed) => this.#text(needed)),
    };
    if (table !== undefined) packed.table = new PackedTable(this.#entries, place).asFacts();
    return Object.assign(packed, more);
  }

  tableData(data: TableData): TableData {
    const entry = this.#text(data.entry);
    return new PackedTableData(this.#tableData, this.#tableData.push(data), entry).asFacts();
  }

  dataPart(part: DataPart): DataPart {
    const entry = this.#text(part.entry);
    return new PackedDataPart(this.#dataParts, this.#dataParts.push(part), { ...part, entry })
      .asFacts();
  }

  #text<T extends string>(text: T): T {
    const known = this.#texts.get(text);
    if (known !== undefined) return known as T;
    this.#texts.set(text, text);
    return text;
  }
}

/** The lists of an entry's statements, each with a bit. */
const LISTS = ["create", "drop", "owner", "comment", "label", "acl"] as const;

/** A bit for each list that has statements. */
function listsIn(statements: EntryStatements): number {
  return LISTS.reduce((bits, name, at) => statements[name].length > 0 ? bits | 1 << at : bits, 0);
}

/** Statements that are unpacked when they are asked for. */
class PackedStatements implements EntryStatements {
  readonly #list: PackedList<EntryDetails>;
  readonly #place: number;
  readonly #filled: number;

  constructor(list: PackedList<EntryDetails>, place: number, filled: number) {
    this.#list = list;
    this.#place = place;
    this.#filled = filled;
  }

  get create(): string[] {
    return this.#of("create");
  }
  get drop(): string[] {
    return this.#of("drop");
  }
  get owner(): string[] {
    return this.#of("owner");
  }
  get comment(): string[] {
    return this.#of("comment");
  }
  get label(): string[] {
    return this.#of("label");
  }
  get acl(): string[] {
    return this.#of("acl");
  }

  toJSON(): EntryStatements {
    return this.#list.at(this.#place).statements;
  }

  #of(name: typeof LISTS[number]): string[] {
    const isFilled = (this.#filled & 1 << LISTS.indexOf(name)) !== 0;
    return isFilled ? this.toJSON()[name] : NOTHING;
  }
}

/** Facts that are unpacked when one of them is asked for; `D` is what is packed. */
abstract class PackedFacts<D, T> {
  readonly #list: PackedList<D>;
  readonly #place: number;

  constructor(list: PackedList<D>, place: number) {
    this.#list = list;
    this.#place = place;
  }

  /** As what {@linkcode unpackedBy} has made of the class. */
  asFacts(): T {
    return this as unknown as T;
  }

  toJSON(): T {
    return this.factsOf(this.#list.at(this.#place));
  }

  protected abstract factsOf(details: D): T;
}

/** Gives a class properties with these names, each read from the facts. */
function unpackedBy<T extends object>(
  { prototype }: { prototype: PackedFacts<unknown, T> },
  names: Partial<Record<keyof T, true>>,
): void {
  for (const name of Object.keys(names) as (keyof T)[]) {
    Object.defineProperty(prototype, name, {
      get(this: PackedFacts<unknown, T>) {
        return this.toJSON()[name];
      },
    });
  }
}

class PackedTable extends PackedFacts<EntryDetails, TableFacts> {
  protected override factsOf({ table }: EntryDetails): TableFacts {
    return table!;
  }
}

unpackedBy<TableFacts>(
  PackedTable,
  {
    ...{ oid: true, sqlName: true, relkind: true, persistence: true, accessMethod: true },
    ...{ tableBytes: true, toastBytes: true, isPartition: true, hasRowSecurity: true },
    ...{ forceRowSecurity: true, columns: true, condition: true, loadRoot: true },
    referencedTables: true,
  } satisfies Record<keyof TableFacts, true>,
);

class PackedTableData extends PackedFacts<TableData, TableData> {
  readonly entry: string;

  constructor(list: PackedList<TableData>, place: number, entry: string) {
    super(list, place);
    this.entry = entry;
  }

  protected override factsOf(data: TableData): TableData {
    return data;
  }
}

unpackedBy<TableData>(
  PackedTableData,
  {
    ...{ columns: true, format: true, serverVersion: true, encoding: true, columnTypes: true },
    ...{ columnForms: true, extensionVersions: true, fingerprintExpression: true },
  } satisfies Record<keyof Omit<TableData, "entry">, true>,
);

/** What a plan adds up stands by itself. */
type PlainOfPart = Pick<DataPart, "entry" | "part" | "rows" | "rawBytes">;

class PackedDataPart extends PackedFacts<DataPart, DataPart> implements PlainOfPart {
  readonly entry: string;
  readonly part: number;
  readonly rows: number;
  readonly rawBytes: number;

  constructor(list: PackedList<DataPart>, place: number, plain: PlainOfPart) {
    super(list, place);
    this.entry = plain.entry;
    this.part = plain.part;
    this.rows = plain.rows;
    this.rawBytes = plain.rawBytes;
  }

  protected override factsOf(part: DataPart): DataPart {
    return part;
  }
}

unpackedBy<DataPart>(
  PackedDataPart,
  {
    ...{ pages: true, tuples: true, format: true, encoding: true, pieces: true },
    ...{ fingerprint: true, damaged: true },
  } satisfies Record<keyof Omit<DataPart, keyof PlainOfPart>, true>,
);
