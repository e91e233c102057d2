/**
 * What every catalog family works with: the session, the settings, and the registry it adds to.
 *
 * @module
 */
import type {
  Entry,
  EntryKind,
  EntryStatements,
  ExtensionFacts,
  Section,
  SequenceFacts,
  TableData,
  TableFacts,
} from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { objectKey, ObjectNumbers } from "./object_numbers.ts";

/** What to save, and how managed schemas are taken. */
export interface DumpOptions {
  profile: "supabase" | "plain";
  /** Patterns with `*` and `?`. With no pattern to include everything is taken. */
  includeSchemas: string[];
  excludeSchemas: string[];
  /** As `schema.table`: taken besides the schemas, with what is in them and nothing that they need. */
  includeTables: string[];
  excludeTables: string[];
  /** Functions that are not taken, exactly, such as `public.f(integer, text)`; none when left out. */
  excludeFunctions?: readonly string[];
  /** Tables whose definition is saved and whose rows are not. */
  excludeTableData: string[];
  /** COPY format of table data: `auto` uses binary where it is known to be safe. */
  copyFormat: "auto" | "text" | "binary";
}

/**
 * An entry in the making. Families fill in what they know; passes over all drafts add owner, comments,
 * labels, rights and dependencies, so that no family repeats them.
 */
export interface Draft {
  /** Catalog of the object: `pg_class`, `pg_proc`, … */
  catalog: string;
  oid: number;
  /** Tells entries of one object apart: null for the object itself, `data`, `attach`, `row-security`, … */
  part: string | null;
  kind: EntryKind;
  section: Section;
  schema: string | null;
  name: string;
  create: string[];
  drop: string[];
  /**
   * How COMMENT ON, SECURITY LABEL ON and ALTER … OWNER TO name the object, such as
   * `FUNCTION "public"."f"("integer")` or `CONSTRAINT "c" ON "public"."t"`. Also its identity.
   */
  address: string;
  /** Owner's role name where `ALTER <address> OWNER TO` works, else null. */
  owner: string | null;
  /** Where OWNER TO needs another address than `address` (constraint triggers, …). */
  ownerAddress?: string;
  /** Rights of the object; absent for kinds without. */
  rights?: DraftRights;
  /** False where the object cannot carry a comment or label of its own, such as data entries. */
  commentable: boolean;
  /** Further entries that must come first: `<catalog>:<oid>[:<part>]`. pg_depend is added to them. */
  dependsOn: string[];
  /** Name of the extension this is a member of: no definition is written, only rights and data. */
  extension?: string;
  /**
   * Key of the draft whose CREATE holds this definition as long as the order allows it: a default or
   * check in its table, a check in its domain, the ON SELECT rule in its view. Such a draft makes an
   * entry of its own, with its own `create`, only when a dependency loop forces it apart; otherwise
   * only its comments and labels are kept, and go to the host. The host depends on it by itself.
   */
  inlineIn?: string;
  /**
   * On a host: writes its statements again without the inline drafts of these keys. A view without
   * its rule is a dummy view (right columns, no tables); its rule then does CREATE OR REPLACE VIEW.
   */
  withoutInline?: (separate: ReadonlySet<string>) => { create: string[]; drop: string[] };
  /** Statements that the family writes itself; the passes add theirs behind them. */
  extra?: Partial<EntryStatements>;
  /** Set by the managed pass. */
  managed?: true;
  table?: TableFacts;
  sequence?: SequenceFacts;
  extensionFacts?: ExtensionFacts;
  largeObject?: { oid: number };
}

/** What the rights pass needs, all as the catalog has it. */
export interface DraftRights {
  /** Keyword of GRANT … ON: TABLE, SEQUENCE, FUNCTION, PROCEDURE, SCHEMA, TYPE, LANGUAGE, … */
  grantType: string;
  /** Name in GRANT … ON <type> <name>. */
  grantName: string;
  /** acl column as text items, null when it is NULL (the built-in default holds). */
  acl: string[] | null;
  /** `acldefault(<type>, <owner>)`. */
  aclDefault: string[];
  /** Rights at the end of initdb or CREATE EXTENSION (pg_init_privs), null when there are none. */
  initial: string[] | null;
  /** Column rights: name, acl, initial. */
  columns?: { name: string; acl: string[] | null; initial: string[] | null }[];
}

/** One family of catalog objects: reads them and adds drafts. One file each under `families/`. */
export interface CatalogFamily {
  name: string;
  /** Catalogs whose rows this family accounts for in the census. */
  catalogs: string[];
  read(context: DumpContext): Promise<void>;
}

/** State of one reading of the catalog. */
export interface DumpContext {
  session: Session;
  options: DumpOptions;
  /** server_version_num. */
  version: number;
  isSuperuser: boolean;
  drafts: Drafts;
  /** Names of schemas that are saved, by oid, decided by the schema family before the others run. */
  schemas: Map<number, SavedSchema>;
  /** Extension name by `<catalog>:<oid>` of its members, read before the families run. */
  extensionMembers: Map<string, string>;
  /** Keys `<catalog>:<oid>` of objects that a family leaves out because the options say so. */
  leftOut: Set<string>;
  /** Per table-data entry; filled by the data family. */
  tableData: TableData[];
  /** Rows whose definition came from `pg_get_*` functions: compared again by the recheck. */
  readByFunction: ReadByFunction[];
  /** What the operator should know, in words. */
  remarks: string[];
  /** The part of the catalog that is read; null for all of it. */
  slice: CatalogSlice | null;
}

/** A row whose definition came from a `pg_get_*` function, which looks at the present. */
export interface ReadByFunction {
  catalog: string;
  oid: number;
  /** The definition was proved to be of the snapshot's row; only what it names may have another name. @default false */
  isOfSnapshot?: boolean;
  /** So was the name of each function in it. @default false */
  areFunctionsOfSnapshot?: boolean;
}

/** A part of the catalog that can be read by itself. Survives JSON. */
export interface CatalogSlice {
  /**
   * True for the one slice that has all but relations and functions, and with them those that no other slice
   * names; false for those that have some relations and what hangs on them, or some functions.
   */
  isRest: boolean;
  /** Oids of the slice's relations; of those of all others for the rest. */
  relations: number[];
  /** Oids of functions and procedures in the same way. Only the rest has both. */
  functions: number[];
}

/** A schema and what is taken of it. */
export interface SavedSchema {
  oid: number;
  name: string;
  /** Belongs to the platform (profile `supabase`). */
  managed: boolean;
  /** `all`: definitions of everything inside; `rights`: changed rights only (pg_catalog, …). */
  take: "all" | "rights" | "none";
}

/** The drafts, findable by object. */
export class Drafts {
  /** Of all objects that somebody asked for, also of those without a draft. */
  readonly numbers = new ObjectNumbers();
  readonly #byNumber: (Draft | undefined)[] = [];

  /** The key of an object's entry. */
  static readonly key = objectKey;

  /**
   * Adds a draft and returns its number.
   *
   * @throws {Error} when the same object is added twice: a defect of a family
   */
  add(draft: Draft): number {
    const number = this.numbers.add(draft.catalog, draft.oid, draft.part);
    if (this.at(number) !== undefined) {
      throw new Error(`Cannot add ${this.numbers.keyOf(number)} twice: ${draft.address}`);
    }
    while (this.#byNumber.length < number) this.#byNumber.push(undefined); // a hole would make it slow
    this.#byNumber[number] = draft;
    return number;
  }

  get(catalog: string, oid: number, part: string | null = null): Draft | undefined {
    return this.at(this.numbers.find(catalog, oid, part));
  }

  byKey(key: string): Draft | undefined {
    return this.at(this.numbers.ofKey(key));
  }

  /** The draft with this number; none has none. */
  at(number: number | undefined): Draft | undefined {
    return number === undefined ? undefined : this.#byNumber[number];
  }

  remove(number: number): void {
    this.#byNumber[number] = undefined;
  }

  *all(): IterableIterator<Draft> {
    for (const draft of this.#byNumber) if (draft !== undefined) yield draft;
  }

  /** With their numbers. */
  *numbered(): IterableIterator<[number, Draft]> {
    for (const [number, draft] of this.#byNumber.entries()) {
      if (draft !== undefined) yield [number, draft];
    }
  }
}

/** The key of a finished entry equals that of its draft. */
export type EntryKey = Entry["key"];
