/**
 * Brings exports back into a database, all of them or nothing: the rows of tables into tables that are there
 * or are made, or a whole export in SQL.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { EXPORT_FORMAT, type ExportedTable } from "../../core/export_format.ts";
import {
  fingerprintExpression,
  matchesPattern,
  readTypes,
  type TypeCatalog,
} from "../../dump/mod.ts";
import { pinSettings } from "../../postgres/pinned_settings.ts";
import type { Session } from "../../postgres/session.ts";
import {
  createTable,
  deferForeignKeys,
  emptyTables,
  type ExportReader,
  finishTable,
  hasRelation,
  type ImportedTable,
  type ImportFile,
  type ImportMode,
  importTable,
  lockForImport,
  matchTable,
  moveSequences,
  openExport,
  silenceTriggers,
  type TargetTable,
} from "../../restore/import/mod.ts";
import { commitAll, whyUndone } from "../commit_all.ts";
import { runScript } from "./import_script.ts";

/** What to import and how. */
export interface ImportRequest {
  /** Patterns `schema.table`: only the rows of these. @default all; of a file in SQL everything */
  tables?: readonly string[];
  /** What is done about rows that are there. @default "append" */
  mode?: ImportMode;
  /** Makes tables that are not there. @default false */
  create?: boolean;
  /** Silences the tables' own triggers meanwhile. @default false */
  withoutTriggers?: boolean;
  /** Takes columns of other types than the export's; the rows are then only counted. @default false */
  acceptOtherTypes?: boolean;
  /** How long to wait for the lock of a table. @default 60000 */
  lockTimeoutMs?: number;
}

/** What {@linkcode importDatabase} works with. */
export interface ImportDatabaseOptions {
  /** Opens a connection to the target. */
  connect: () => Promise<Session>;
  /** A single file is opened once, more of them twice. */
  files: readonly ImportFile[];
  request: ImportRequest;
  signal?: AbortSignal | undefined;
}

/** What came of an import. */
export interface ImportReport {
  tables: ImportedTable[];
  rows: number;
  /** Statements of a whole export in SQL that were run. */
  statements: number;
}

/**
 * Imports, in one transaction.
 *
 * @throws {BackupError} `invalid_request` and `object_truncated` for a file that is not what an export
 * writes, `not_found`, `target_unfit`, `restore_mismatch`, `lock_timeout`, `database_*`, `cancelled`. The
 * database is then as it was, but for an error that says that it cannot tell.
 */
export async function importDatabase(options: ImportDatabaseOptions): Promise<ImportReport> {
  const { connect, files, request, signal } = options;
  const readers: ExportReader[] = [];
  const open = async (file: ImportFile) => {
    const reader = await openExport(file);
    readers.push(reader);
    return reader;
  };
  let session: Session | undefined;
  const onAbort = () => void session?.cancel().catch(() => {});
  signal?.addEventListener("abort", onAbort);
  try {
    const opened = await openAll(files, open);
    const wanted = chooseTables(opened, request.tables);
    session = await connect();
    await pinSettings(session);
    await session.execute("BEGIN");
    const whole = wholeScript(opened, request);
    const report = whole !== null
      ? await runScript(session, whole, { hash: hasher(session), signal })
      : await importRows(session, { opened, wanted, request, signal, reopen: open });
    signal?.throwIfAborted();
    await commitAll(session, {
      whether: "the rows were imported",
      hint: "Either all of them are there or none. Look at the tables, or import again with " +
        "--mode replace.",
    });
    return report;
  } catch (error) {
    throw whyUndone(error, { signal, what: "import", hint: "Nothing was changed." });
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await Promise.all(readers.map((reader) => reader.close()));
    await session?.close();
  }
}

/** A file, with its reader where it cannot be opened twice. */
interface OpenedFile {
  file: ImportFile;
  reader: ExportReader;
  isKept: boolean;
}

/** Reads all headers, so that nothing begins before all of them are known. */
async function openAll(
  files: readonly ImportFile[],
  open: (file: ImportFile) => Promise<ExportReader>,
): Promise<OpenedFile[]> {
  const opened: OpenedFile[] = [];
  const isKept = files.length === 1;
  for (const file of files) {
    const reader = await open(file);
    if (!isKept) await reader.close();
    opened.push({ file, reader, isKept });
  }
  return opened;
}

/** A whole export in SQL, which is run as it is. */
function wholeScript(
  opened: readonly OpenedFile[],
  { tables, mode, create }: ImportRequest,
): ExportReader | null {
  const scripts = opened.filter(({ reader }) => reader.header.format === "sql");
  const isRows = tables !== undefined || create === true || (mode ?? "append") !== "append";
  if (scripts.length === 0 || isRows) return null;
  if (opened.length > 1) {
    throw new BackupError("invalid_request", "Cannot import several files in SQL at once", {
      hint: "Import them one after the other.",
    });
  }
  return scripts[0]!.reader;
}

function chooseTables(
  opened: readonly OpenedFile[],
  patterns: readonly string[] | undefined,
): ExportedTable[] {
  const all = opened.flatMap(({ reader }) => reader.header.tables);
  const seen = new Set<string>();
  for (const table of all) {
    if (seen.has(keyOf(table))) {
      throw new BackupError(
        "invalid_request",
        `Cannot import ${table.schema}.${table.name}: it stands twice in what is imported`,
        { hint: "Nothing was changed. Leave one of the files out." },
      );
    }
    seen.add(keyOf(table));
  }
  if (patterns === undefined) return all;
  const wanted = all.filter(({ schema, name }) =>
    patterns.some((pattern) => matchesPattern(pattern, `${schema}.${name}`))
  );
  if (wanted.length > 0) return wanted;
  throw new BackupError(
    "not_found",
    `Cannot import ${patterns.join(", ")}: the export has no such table`,
    { hint: "Nothing was changed. Name tables as schema.table; * and ? match." },
  );
}

function keyOf({ schema, name }: { schema: string; name: string }): string {
  return JSON.stringify([schema, name]);
}

/** The rows of chosen tables, into tables that are checked before the first row. */
async function importRows(
  session: Session,
  { opened, wanted, request, signal, reopen }: {
    opened: readonly OpenedFile[];
    wanted: readonly ExportedTable[];
    request: ImportRequest;
    signal: AbortSignal | undefined;
    reopen: (file: ImportFile) => Promise<ExportReader>;
  },
): Promise<ImportReport> {
  const { mode = "append", create = false, acceptOtherTypes = false } = request;
  const made: ExportedTable[] = [];
  for (const table of wanted) {
    if (!create || await hasRelation(session, table)) continue;
    await createTable(session, table);
    made.push(table);
  }
  const targets = new Map<string, TargetTable>();
  for (const table of wanted) {
    targets.set(keyOf(table), await matchTable(session, table, { acceptOtherTypes }));
  }
  const all = [...targets.values()];
  await lockForImport(session, all, request.lockTimeoutMs ?? 60_000);
  const wake = request.withoutTriggers === true ? await silenceTriggers(session, all) : [];
  const back = await deferForeignKeys(session, all);
  if (mode === "replace") await emptyTables(session, all);
  const hash = hasher(session);
  const tables: ImportedTable[] = [];
  for (const { file, reader, isKept } of opened) {
    const { name, header, sections, close } = isKept ? reader : await reopen(file);
    for await (const section of sections()) {
      const target = targets.get(keyOf(section.table));
      if (target === undefined) continue;
      signal?.throwIfAborted();
      tables.push(
        await importTable(session, {
          ...{ file: name, section, target, mode, signal, encoding: header.encoding },
          // Files of format 1 have sums of other hashes: their rows are compared by number.
          hash: target.hasSameTypes && header.supabaseBackupExport === EXPORT_FORMAT
            ? await hash(target)
            : null,
        }),
      );
    }
    await close();
  }
  for (const table of made) await finishTable(session, table);
  await session.execute("SET CONSTRAINTS ALL IMMEDIATE");
  for (const statement of [...back, ...wake]) await session.execute(statement);
  for (const target of all) await moveSequences(session, target);
  return { tables, rows: tables.reduce((sum, { rows }) => sum + rows, 0), statements: 0 };
}

/** Gives the hash of a table's row; types are read again only for one that is not known yet. */
function hasher(session: Session): (target: TargetTable) => Promise<string> {
  let types: TypeCatalog = new Map();
  return async ({ columns }) => {
    if (columns.some(({ typeOid }) => !types.has(typeOid))) types = await readTypes(session);
    return fingerprintExpression(types, columns);
  };
}
