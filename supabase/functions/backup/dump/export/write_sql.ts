/**
 * Writes definitions and rows as plain SQL that psql loads.
 *
 * @module
 */
import { utf8 } from "../../core/bytes.ts";
import { SQL_COMPLETE_MARK, SQL_END_MARK, SQL_HEADER_MARK } from "../../core/export_format.ts";
import type { Entry } from "../../core/model.ts";
import { quoteDollar } from "../../postgres/quote.ts";
import type { RowValues } from "../data/binary_rows.ts";
import { bytesOf } from "../data/binary_text.ts";
import type { ExportOutput } from "./export_output.ts";
import { exportedTable, type ExportSource, headerOf } from "./export_source.ts";
import { psqlComment, psqlStatement } from "./psql_text.ts";
import { TableDefinitions } from "./table_definition.ts";

/** What {@linkcode writeSql} writes. */
export interface WriteSqlOptions {
  /** The entries whose rows are written. */
  rows: readonly Entry[];
  /** `all`: of the database; `tables`: of the tables with rows; `none` */
  definitions: "all" | "tables" | "none";
}

/** Under these the rows and definitions of an export mean the same everywhere. */
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
  "SET lc_monetary = 'C'",
];

/** Writes the export; gives back the number of rows. @throws `unsupported_object`, and as the source does */
export async function writeSql(
  output: ExportOutput,
  source: ExportSource,
  options: WriteSqlOptions,
): Promise<number> {
  const { facts, entries } = source;
  output.encode = facts.sqlText === "bytes" ? bytesOf : utf8;
  const tables = options.rows.filter((entry) => entry.table !== undefined).map(exportedTable);
  await output.text(`${SQL_HEADER_MARK}${jsonInComment(headerOf(source, "sql", tables))}\n`);
  await output.text(psqlComment(`${source.of}, ${facts.serverVersionText}`));
  for (const setting of [`SET client_encoding = '${sqlEncoding(source)}'`, ...SETTINGS]) {
    await output.text(psqlStatement(setting));
  }
  const writer = new SqlWriter(output, source, options);
  if (options.definitions === "all") await writer.everything(entries);
  else await writer.tables(options.definitions === "tables");
  await output.text(`${SQL_COMPLETE_MARK}\n`);
  await output.flush();
  return writer.rows;
}

function sqlEncoding({ facts }: ExportSource): string {
  return facts.sqlText === "bytes" ? facts.encoding : "UTF8";
}

/** JSON without what a comment shows as a space. */
function jsonInComment(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

class SqlWriter {
  rows = 0;
  readonly #output: ExportOutput;
  readonly #source: ExportSource;
  readonly #withRows: ReadonlyMap<string, Entry>;

  constructor(output: ExportOutput, source: ExportSource, { rows }: WriteSqlOptions) {
    this.#output = output;
    this.#source = source;
    this.#withRows = new Map(rows.map((entry) => [entry.key, entry]));
  }

  /** The passes of a restore: definitions, rows, what needs rows, rights, and what must come last. */
  async everything(entries: readonly Entry[]): Promise<void> {
    const keys = new Set(entries.map((entry) => entry.key));
    const isLast = ({ kind }: Entry) => kind === "refresh" || kind === "event-trigger";
    const of = (section: Entry["section"]) =>
      entries.filter((entry) => entry.section === section && !isLast(entry));
    for (const entry of of("pre-data")) await this.#statements(entry, definition(entry));
    for (const entry of of("data")) {
      await this.#statements(entry, definition(entry));
      const root = entry.table?.loadRoot;
      const into = keys.has(`pg_class:${root?.oid}`) ? root : entry.table;
      if (this.#withRows.has(entry.key)) await this.#rowsOf(entry, into?.sqlName ?? null);
    }
    for (const entry of of("post-data")) await this.#statements(entry, definition(entry));
    for (const entry of entries) await this.#statements(entry, entry.statements.acl);
    for (const entry of entries.filter(isLast)) await this.#statements(entry, definition(entry));
  }

  /** The tables that have rows, alone. */
  async tables(withDefinitions: boolean): Promise<void> {
    const definitions = new TableDefinitions(this.#source.entries);
    for (const entry of this.#withRows.values()) {
      const made = withDefinitions ? definitions.of(entry) : undefined;
      await this.#statements(
        entry,
        (made?.needs ?? []).flatMap(({ create }) => unlessThere(create)),
      );
      await this.#statements(entry, made?.before ?? []);
      await this.#rowsOf(entry, entry.table?.sqlName ?? null);
      await this.#statements(entry, made?.after ?? []);
    }
  }

  async #statements(entry: Entry, list: readonly string[]): Promise<void> {
    if (list.length > 0) await this.#output.text(psqlComment(entry.identity));
    for (const sql of list) {
      // A place on a disk of another machine: whoever loads this makes it where it fits.
      if (entry.kind === "tablespace") await this.#output.text(psqlComment(`If needed: ${sql}`));
      else await this.#output.text(psqlStatement(sql));
    }
  }

  /** Rows go `into` a table; null for large objects. */
  async #rowsOf(entry: Entry, into: string | null): Promise<void> {
    const output = this.#output;
    await output.text(psqlComment(entry.identity));
    if (into === null) {
      const write = (page: RowValues) => output.text(psqlStatement(largeObjectPage(page)));
      this.rows += Number((await this.#source.copyPages(entry, write)).rows);
      return;
    }
    const data = this.#source.tableData.get(entry.key)!;
    const columns = data.columns.length === 0 ? "" : ` (${data.columns.join(", ")})`;
    // The SQL around keeps its own encoding: that of the rows holds for the rows alone.
    const encoding = data.encoding === sqlEncoding(this.#source)
      ? ""
      : ` WITH (ENCODING '${data.encoding}')`;
    await output.text(psqlCopy(`COPY ${into}${columns} FROM stdin${encoding}`));
    const copied = await this.#source.copyText(entry, (slice) => output.bytes(slice));
    await output.text(`\\.\n${SQL_END_MARK}${JSON.stringify(copied)}\n\n`);
    this.rows += Number(copied.rows);
  }
}

function definition({ kind, statements: { create, owner, comment, label } }: Entry): string[] {
  return [...(kind === "role" ? unlessThere(create) : create), ...owner, ...comment, ...label];
}

/** For what others may have made: roles of the cluster, or the type of a table. It stays as it is. */
function unlessThere(create: readonly string[]): string[] {
  if (create.length === 0) return [];
  const making = create.map((sql) => `${sql}; `).join("");
  const there = "duplicate_object OR duplicate_schema OR duplicate_table";
  return [`DO ${quoteDollar(`BEGIN ${making}EXCEPTION WHEN ${there} THEN NULL; END`)}`];
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
