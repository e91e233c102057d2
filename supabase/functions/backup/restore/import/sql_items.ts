/**
 * The statements and rows of an export in SQL.
 *
 * @module
 */
import {
  type ExportedRows,
  type ExportHeader,
  SQL_COMPLETE_MARK,
  SQL_END_MARK,
} from "../../core/export_format.ts";
import { endOfQuoted } from "../../postgres/sql_quotes.ts";
import { type ExportBytes, jsonOf } from "./export_bytes.ts";
import type { ExportSection } from "./export_reader.ts";
import { END } from "./json_sections.ts";

/** A statement, or a COPY with its rows. */
export type SqlItem =
  | { kind: "statement"; sql: string; line: number }
  | { kind: "copy"; sql: string; section: ExportSection };

const LONGEST_STATEMENT = 64 << 20;
const [NEWLINE, BACKSLASH, DOT] = [0x0a, 0x5c, 0x2e];

/** See the module. */
export class SqlItems {
  readonly #bytes: ExportBytes;
  readonly #header: ExportHeader;
  #copies = 0;
  #open: SqlSection | undefined;

  constructor(bytes: ExportBytes, header: ExportHeader) {
    this.#bytes = bytes;
    this.#header = header;
  }

  /** The next one; null at the end. @throws {BackupError} `invalid_request`, `object_truncated` */
  async next(): Promise<SqlItem | null> {
    await this.#open?.finish();
    this.#open = undefined;
    const bytes = this.#bytes;
    let text = "";
    let first = bytes.line;
    for (let line; (line = await bytes.readLine()) !== null;) {
      if (text === "") {
        if (line === SQL_COMPLETE_MARK) return await this.#complete();
        if (line === "" || line.startsWith("-- ")) continue;
        first = bytes.line - 1;
      }
      text += `${line}\n`;
      if (text.length > LONGEST_STATEMENT) throw bytes.refuse("a statement is too long");
      if (line === ";" && isWhole(text)) {
        return { kind: "statement", sql: text.slice(0, -3), line: first };
      }
      if (text.startsWith("COPY ") && line.endsWith(";") && isWhole(text)) {
        return this.#copy(text.slice(0, -2));
      }
    }
    throw bytes.cut();
  }

  #copy(sql: string): SqlItem {
    const table = this.#header.tables[this.#copies++];
    if (table === undefined) throw this.#bytes.refuse("it has more tables than its header");
    const section = new SqlSection(this.#bytes, table);
    this.#open = section;
    return { kind: "copy", sql, section };
  }

  async #complete(): Promise<null> {
    if (this.#copies < this.#header.tables.length) {
      throw this.#bytes.refuse("it has fewer tables than its header");
    }
    if (await this.#bytes.peek() !== null) throw this.#bytes.refuse("more follows after its end");
    return null;
  }
}

/** Only the rows of an export in SQL. */
export async function* sqlSections(
  bytes: ExportBytes,
  header: ExportHeader,
): AsyncIterable<ExportSection> {
  const items = new SqlItems(bytes, header);
  for (let item; (item = await items.next()) !== null;) {
    if (item.kind === "copy") yield item.section;
  }
}

class SqlSection implements ExportSection {
  readonly table: ExportSection["table"];
  readonly firstLine: number;
  readonly #bytes: ExportBytes;
  #areRead = false;
  #end: ExportedRows | undefined;

  constructor(bytes: ExportBytes, table: ExportSection["table"]) {
    this.table = table;
    this.firstLine = bytes.line;
    this.#bytes = bytes;
  }

  /** Everything up to the line `\.`, which no row can be. */
  async *rows(): AsyncIterable<Uint8Array> {
    const bytes = this.#bytes;
    /** Whether the next byte begins a line. */
    let begins = true;
    for (let slice; (slice = await bytes.peek()) !== null;) {
      if (begins && slice[0] === BACKSLASH) {
        if (await this.#isEnd()) return;
        slice = (await bytes.peek())!;
      }
      let at = 0;
      while (at < slice.length) {
        if (begins && at > 0 && slice[at] === BACKSLASH) break;
        const newline = slice.indexOf(NEWLINE, at);
        begins = newline >= 0;
        at = begins ? newline + 1 : slice.length;
        if (begins) bytes.line++;
      }
      yield slice.subarray(0, at);
      bytes.consume(at);
    }
    throw bytes.cut();
  }

  /** Whether the line that begins with a backslash is the end of the rows, which it then goes past. */
  async #isEnd(): Promise<boolean> {
    const begin = await this.#bytes.peekAtLeast(2);
    if (begin[1] !== DOT) return false;
    const line = await this.#bytes.readLine();
    if (line !== "\\.") throw this.#bytes.refuse("an end of the rows that is no end");
    this.#areRead = true;
    return true;
  }

  async end(): Promise<ExportedRows> {
    if (this.#end !== undefined) return this.#end;
    const line = await this.#bytes.readLine();
    if (line === null) throw this.#bytes.cut();
    const value = line.startsWith(SQL_END_MARK)
      ? END.safeParse(jsonOf(line.slice(SQL_END_MARK.length)))
      : undefined;
    if (value?.success !== true) {
      this.#bytes.line--;
      throw this.#bytes.refuse("here should stand the number of the rows");
    }
    return this.#end = value.data;
  }

  /** Goes to what follows. */
  async finish(): Promise<void> {
    if (!this.#areRead) { for await (const _ of this.rows()); }
    await this.end();
  }
}

/** Whether every quote and comment of the text ends in it. */
function isWhole(sql: string): boolean {
  for (let at = 0; at < sql.length;) {
    const end = endOfQuoted(sql, at);
    if (end === null) return false;
    at = Math.max(end, at + 1);
  }
  return true;
}
