/**
 * Reads a whole database into a model: catalogs by families, passes over all drafts, order.
 *
 * @module
 */
import type {
  DatabaseModel,
  Entry,
  EntryStatements,
  SourceFacts,
  TableData,
} from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { takeCensus } from "./census.ts";
import { keepChosen } from "./chosen_tables.ts";
import { beginReading, quotingAll } from "./begin_reading.ts";
import type { Draft, DumpContext, DumpOptions } from "./context.ts";
import { describeTableData } from "./data/table_data.ts";
import { readTypes, type TypeCatalog } from "./data/types.ts";
import { decorate, type Decorations, moveToHosts, statementsOf } from "./decorate.ts";
import { Dependencies } from "./dependencies.ts";
import { extensionDependenciesFamily } from "./families/extension_dependencies.ts";
import { FAMILIES } from "./families/index.ts";
import { readRowsEntries, type RowsEntry } from "./families/table_data.ts";
import { markManaged } from "./managed.ts";
import { type DraftOrder, orderDrafts } from "./order.ts";
import { noteRowVersions, type RowVersions } from "./recheck.ts";
import { draftRights } from "./rights.ts";
import { sideBySide } from "./side_by_side.ts";

/** A model with what the backup needs besides it. */
export interface DatabaseReading extends DatabaseModel {
  /** For {@linkcode recheck}, after the reading. */
  rowVersions: RowVersions[];
  /** What is left out or held otherwise, in words. */
  remarks: string[];
}

/**
 * Reads the database as the session's transaction sees it.
 *
 * @param session in a REPEATABLE READ transaction that holds the locks, with the pinned settings
 * @throws {BackupError} `census_mismatch`, `unsupported_object`, `database_error`
 */
export async function readDatabase(
  session: Session,
  options: DumpOptions,
): Promise<DatabaseReading> {
  return await (await CatalogReading.begin(session, options)).database();
}

/** One reading of the catalog, of which the rows to save are known before everything else. */
export class CatalogReading {
  readonly #context: DumpContext;
  readonly #source: SourceFacts;
  #rows: Promise<RowsEntry[]> | undefined;
  #types: Promise<TypeCatalog> | undefined;
  readonly #described = new Map<string, TableData>();

  private constructor(context: DumpContext, source: SourceFacts) {
    this.#context = context;
    this.#source = source;
  }

  /** Begins it in a session as {@linkcode readDatabase} takes it. */
  static async begin(session: Session, options: DumpOptions): Promise<CatalogReading> {
    const { context, source } = await beginReading(session, options);
    return new CatalogReading(context, source);
  }

  /** Where it reads. */
  get session(): Session {
    return this.#context.session;
  }

  /** The entries that have rows. The whole database has the same, and knows more of them. */
  rows(): Promise<RowsEntry[]> {
    return this.#rows ??= quotingAll(this.session, async () => {
      const [entries] = await sideBySide([readRowsEntries(this.#context), this.#typeCatalog()]);
      return entries;
    });
  }

  /** How rows are stored, of those entries that have some. */
  async describe(entries: readonly RowsEntry[]): Promise<TableData[]> {
    const types = await this.#typeCatalog();
    const { copyFormat } = this.#context.options;
    const unknown = entries.filter(({ key }) => !this.#described.has(key));
    for (const data of await describeTableData(this.session, unknown, { copyFormat, types })) {
      this.#described.set(data.entry, data);
    }
    return entries.flatMap(({ key }) => this.#described.get(key) ?? []);
  }

  #typeCatalog(): Promise<TypeCatalog> {
    return this.#types ??= readTypes(this.session);
  }

  /** Reads all of it; once. @throws as {@linkcode readDatabase} */
  async database(): Promise<DatabaseReading> {
    return await quotingAll(this.session, () => readCatalogs(this.#context, this.#source));
  }
}

async function readCatalogs(context: DumpContext, source: SourceFacts): Promise<DatabaseReading> {
  const [dependencies] = await sideBySide([
    Dependencies.read(context),
    ...FAMILIES.map((family) => family.read(context)),
  ]);
  await extensionDependenciesFamily.read(context);
  removeIdleRights(context);
  const [decorations, rowVersions] = await sideBySide([
    decorate(context, dependencies),
    noteRowVersions(context),
    takeCensus(context, dependencies),
    markManaged(context),
  ]);
  const order = orderDrafts(context, dependencies);
  return {
    source,
    entries: await keepChosen(context, dependencies, toEntries(context, order, decorations)),
    tableData: context.tableData,
    rowVersions,
    remarks: context.remarks,
  };
}

/** Rights of built-in objects and of extensions' members are entries only where somebody changed them. */
export function removeIdleRights(context: DumpContext): void {
  for (const [number, draft] of context.drafts.numbered()) {
    if (draft.kind === "acl" && draftRights(draft).length === 0) context.drafts.remove(number);
  }
}

function toEntries(
  context: DumpContext,
  { separate, drafts }: DraftOrder,
  decorations: Decorations,
): Entry[] {
  moveToHosts(context, decorations, separate);
  // Most are needed by several: one string for all of them.
  const { numbers } = context.drafts;
  const keys = new Array<string>(numbers.size);
  const keyOf = (number: number) => keys[number] ??= numbers.keyOf(number);
  return Array.from(drafts, ({ number, draft, needs }) => {
    const key = keyOf(number);
    const dependsOn = needs.map(keyOf).sort();
    return toEntry({ key, draft, dependsOn }, statementsOf(key, draft, decorations));
  });
}

/** What identifies the object of a draft in any database. */
export function identityOf({ kind, address }: Pick<Draft, "kind" | "address">): string {
  return `${kind} ${address}`;
}

/** The entry of a draft at its place. */
export function toEntry(
  { key, draft, dependsOn }: { key: string; draft: Draft; dependsOn: string[] },
  statements: EntryStatements,
): Entry {
  const { kind, section, schema, name, owner } = draft;
  const identity = identityOf(draft);
  const entry: Entry = { key, kind, section, schema, name, identity, owner, statements, dependsOn };
  if (draft.managed !== undefined) entry.managed = draft.managed;
  if (draft.extension !== undefined) entry.extension = draft.extension;
  if (draft.table !== undefined) entry.table = draft.table;
  if (draft.sequence !== undefined) entry.sequence = draft.sequence;
  if (draft.extensionFacts !== undefined) entry.extensionFacts = draft.extensionFacts;
  if (draft.largeObject !== undefined) entry.largeObject = draft.largeObject;
  return entry;
}
