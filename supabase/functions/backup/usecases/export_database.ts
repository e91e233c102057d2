/**
 * Writes a backup as plain SQL that psql loads, or as JSON lines: readable without this product.
 *
 * @module
 */
import { utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { BinaryForm, DataPart, Entry, SourceFacts, TableData } from "../core/model.ts";
import {
  binaryAsTextLines,
  bytesOf,
  checkedTextLines,
  matchesPattern,
  psqlComment,
  psqlStatement,
  readBinaryRows,
  readTextRows,
  type RowValues,
} from "../dump/mod.ts";
import { quoteDollar } from "../postgres/quote.ts";
import type { Repository } from "../repository/mod.ts";

/** What {@linkcode exportDatabase} works with. */
export interface ExportDatabaseOptions {
  repository: Repository;
  /** An id, or `latest`. */
  backup: string;
  format: "sql" | "json";
  /** Patterns `schema.table`: only the rows of these, without definitions. @default everything */
  tables?: readonly string[];
  signal?: AbortSignal;
}

/** What was written. */
export interface ExportReport {
  backupId: string;
  tables: number;
  rows: number;
}

/** Takes the export's bytes in order. */
export type ExportWriter = (bytes: Uint8Array) => Promise<void>;

/**
 * Writes the export.
 *
 * @throws {BackupError} `backup_not_found`, `not_found` when no table matches, `unsupported_object` for
 * what psql could not be given safely or what JSON cannot hold, `object_*`, `storage_*`
 */
export async function exportDatabase(
  options: ExportDatabaseOptions,
  write: ExportWriter,
): Promise<ExportReport> {
  const { repository, format } = options;
  const { record, manifest } = await repository.readBackup(options.backup);
  const entries: Entry[] = [];
  for await (const entry of repository.readLines<Entry>(manifest.entries)) entries.push(entry);
  const rows = await readRows(repository, manifest);
  const chosen = entries.filter((entry) => rows.has(entry.key) && isChosen(entry, options.tables));
  if (options.tables !== undefined && chosen.length === 0) {
    throw new BackupError("not_found", "Cannot export: no table of the backup has such a name");
  }
  const output = new Output(write, options.signal);
  if (format === "json") {
    for (const entry of chosen) {
      await writeJson(output, repository, { entry, ...rows.get(entry.key)! });
    }
  } else {
    const onlyRows = options.tables !== undefined;
    await writeSql(output, repository, {
      entries: onlyRows ? chosen : entries,
      rows,
      source: manifest.source,
      backupId: record.backupId,
    });
  }
  await output.flush();
  return { backupId: record.backupId, tables: chosen.length, rows: output.rows };
}

/** Rows of one entry. */
interface StoredRows {
  data: TableData;
  parts: DataPart[];
}

async function readRows(
  repository: Repository,
  manifest: {
    tableData: Parameters<Repository["readLines"]>[0];
    dataParts: Parameters<Repository["readLines"]>[0];
  },
): Promise<Map<string, StoredRows>> {
  const rows = new Map<string, StoredRows>();
  for await (const data of repository.readLines<TableData>(manifest.tableData)) {
    rows.set(data.entry, { data, parts: [] });
  }
  for await (const part of repository.readLines<DataPart>(manifest.dataParts)) {
    rows.get(part.entry)?.parts.push(part);
  }
  return rows;
}

function isChosen(entry: Entry, tables: readonly string[] | undefined): boolean {
  if (tables === undefined) return true;
  return tables.some((pattern) => matchesPattern(pattern, `${entry.schema}.${entry.name}`));
}

interface SqlExport {
  entries: readonly Entry[];
  rows: ReadonlyMap<string, StoredRows>;
  source: SourceFacts;
  backupId: string;
}

const SETTINGS = [
  "SET statement_timeout = 0",
  "SET lock_timeout = 0",
  "SET idle_in_transaction_session_timeout = 0",
  "SET standard_conforming_strings = on",
  "SET check_function_bodies = off",
  "SET xmloption = content",
  "SET client_min_messages = warning",
  "SET row_security = off",
  "SET search_path = ''",
  "SET DateStyle = ISO",
  "SET IntervalStyle = postgres",
  "SET TimeZone = 'UTC'",
];

async function writeSql(
  output: Output,
  repository: Repository,
  { entries, rows, source, backupId }: SqlExport,
): Promise<void> {
  const sqlEncoding = source.sqlText === "bytes" ? source.encoding : "UTF8";
  output.encode = source.sqlText === "bytes" ? bytesOf : utf8;
  await output.text(psqlComment(`Backup ${backupId}, PostgreSQL ${source.serverVersionText}`));
  for (const setting of [`SET client_encoding = '${sqlEncoding}'`, ...SETTINGS]) {
    await output.text(psqlStatement(setting));
  }
  const statements = async (entry: Entry, list: readonly string[]) => {
    if (list.length > 0) await output.text(psqlComment(entry.identity));
    for (const sql of list) {
      // A place on a disk of another machine: whoever loads this makes it where it fits.
      if (entry.kind === "tablespace") await output.text(psqlComment(`If needed: ${sql}`));
      else await output.text(psqlStatement(sql));
    }
  };
  // The passes of a restore: definitions, rows, what needs rows, rights, and what must come last.
  const definition = (
    { kind, statements: { create, owner, comment, label } }: Entry,
  ) => [...(kind === "role" ? unlessThere(create) : create), ...owner, ...comment, ...label];
  const isLast = ({ kind }: Entry) => kind === "refresh" || kind === "event-trigger";
  const of = (section: Entry["section"]) =>
    entries.filter((entry) => entry.section === section && !isLast(entry));
  for (const entry of of("pre-data")) await statements(entry, definition(entry));
  for (const entry of of("data")) {
    await statements(entry, definition(entry));
    const stored = rows.get(entry.key);
    if (stored !== undefined) {
      const root = entry.table?.loadRoot;
      const hasRoot = entries.some((each) => each.key === `pg_class:${root?.oid}`);
      const table = (hasRoot ? root : entry.table)?.sqlName ?? null;
      await writeRows(output, repository, { entry, ...stored, table, sqlEncoding });
    }
  }
  for (const entry of of("post-data")) await statements(entry, definition(entry));
  for (const entry of entries) await statements(entry, entry.statements.acl);
  for (const entry of entries.filter(isLast)) await statements(entry, definition(entry));
}

/** Roles belong to the cluster: one that is there already stays as it is. */
function unlessThere(create: readonly string[]): string[] {
  const making = create.map((sql) => `${sql}; `).join("");
  return [`DO ${quoteDollar(`BEGIN ${making}EXCEPTION WHEN duplicate_object THEN NULL; END`)}`];
}

async function writeRows(
  output: Output,
  repository: Repository,
  { entry, data, parts, table, sqlEncoding }: StoredRows & {
    entry: Entry;
    /** Where the rows go; null for large objects. */
    table: string | null;
    sqlEncoding: string;
  },
): Promise<void> {
  await output.text(psqlComment(entry.identity));
  const isLargeObjects = table === null;
  if (!isLargeObjects) {
    const columns = data.columns.length === 0 ? "" : ` (${data.columns.join(", ")})`;
    // The SQL around keeps its own encoding: that of the rows holds for the rows alone.
    const encoding = data.encoding === sqlEncoding ? "" : ` WITH (ENCODING '${data.encoding}')`;
    await output.text(psqlCopy(`COPY ${table}${columns} FROM stdin${encoding}`));
  }
  for (const part of parts) {
    if (part.rawBytes === 0) continue;
    if (isLargeObjects) {
      for await (const values of binaryRows(repository, data, part)) {
        await output.text(psqlStatement(largeObjectPage(values)));
      }
    } else {
      const stored = repository.readPieces(part.pieces);
      const lines = part.format === "text"
        ? checkedTextLines(stored)
        : binaryAsTextLines(stored, formsOf(data));
      for await (const slice of lines) await output.bytes(slice);
    }
    output.rows += part.rows;
  }
  if (!isLargeObjects) await output.text("\\.\n\n");
}

/** COPY must end on its own line, directly before the rows. */
function psqlCopy(sql: string): string {
  return `${psqlStatement(sql).replace(/\n;\n$/, "")};\n`;
}

const PAGE_BYTES = 2048;

function largeObjectPage([oid, page, bytes]: RowValues): string {
  const offset = BigInt(page ?? "0") * BigInt(PAGE_BYTES);
  return `SELECT pg_catalog.lo_put(${Number(oid)}, ${offset}, '${bytes}')`;
}

function binaryRows(
  repository: Repository,
  data: TableData,
  part: DataPart,
): AsyncIterable<RowValues> {
  return readBinaryRows(repository.readPieces(part.pieces), formsOf(data));
}

function formsOf(data: TableData): readonly BinaryForm[] {
  if (data.columnForms !== undefined) return data.columnForms;
  throw new BackupError("unsupported_object", `Cannot export ${data.entry}: its form is unknown`);
}

/** One object per row: the table and its values by column, all as PostgreSQL's text. */
async function writeJson(
  output: Output,
  repository: Repository,
  { entry, data, parts }: StoredRows & { entry: Entry },
): Promise<void> {
  const table = entry.table?.sqlName ?? entry.name;
  const names = data.columns.map((name) => name.replace(/^"|"$/g, "").replaceAll('""', '"'));
  const decode = decoderOf(data.encoding, table);
  for (const part of parts) {
    if (part.rawBytes === 0) continue;
    const rows = part.format === "binary"
      ? binaryRows(repository, data, part)
      : readTextRows(repository.readPieces(part.pieces));
    for await (const values of rows) {
      const row = Object.fromEntries(names.map((name, index) => {
        const value = values[index] ?? null;
        return [name, value === null ? null : decode(value)];
      }));
      await output.bytes(utf8(`${JSON.stringify({ table, row })}\n`));
    }
    output.rows += part.rows;
  }
}

/** PostgreSQL's names of encodings that browsers know under others. */
const ENCODINGS: Readonly<Record<string, string>> = {
  UTF8: "utf-8",
  SQL_ASCII: "utf-8",
  EUC_JP: "euc-jp",
  EUC_KR: "euc-kr",
  EUC_CN: "gbk",
  KOI8R: "koi8-r",
  KOI8U: "koi8-u",
  LATIN2: "iso-8859-2",
  LATIN7: "iso-8859-13",
  LATIN9: "iso-8859-15",
  WIN1250: "windows-1250",
  WIN1251: "windows-1251",
  WIN1252: "windows-1252",
};

function decoderOf(encoding: string, table: string): (bytes: string) => string {
  if (encoding === "LATIN1") return (bytes) => bytes;
  const label = ENCODINGS[encoding];
  if (label === undefined) {
    throw new BackupError(
      "unsupported_object",
      `Cannot write ${table} as JSON: it is in ${encoding}`,
      {
        hint: "Export as SQL, which keeps the bytes.",
      },
    );
  }
  // Bytes that are no text of the encoding show as the replacement character; SQL keeps them.
  const decoder = new TextDecoder(label);
  return (bytes) => decoder.decode(bytesOf(bytes));
}

const FLUSH_BYTES = 1 << 18;

/** Gathers small writes. SQL text is encoded as the backup holds it; rows come as bytes. */
class Output {
  rows = 0;
  encode: (text: string) => Uint8Array = utf8;
  #waiting: Uint8Array[] = [];
  #bytes = 0;

  constructor(readonly write: ExportWriter, readonly signal: AbortSignal | undefined) {}

  async text(text: string): Promise<void> {
    await this.bytes(this.encode(text));
  }

  /** Takes bytes, which stay as they are until they are written. */
  async bytes(bytes: Uint8Array): Promise<void> {
    this.signal?.throwIfAborted();
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= FLUSH_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const all = new Uint8Array(this.#bytes);
    let at = 0;
    for (const bytes of this.#waiting) {
      all.set(bytes, at);
      at += bytes.length;
    }
    this.#waiting = [];
    this.#bytes = 0;
    if (all.length > 0) await this.write(all);
  }
}
