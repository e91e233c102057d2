/**
 * The tables of an export in JSON.
 *
 * @module
 */
import { z } from "zod";
import type { ExportedRows, ExportedTable, ExportHeader } from "../../core/export_format.ts";
import { type ExportBytes, jsonOf } from "./export_bytes.ts";
import type { ExportSection } from "./export_reader.ts";
import { JsonRows } from "./json_rows.ts";

const begin = z.strictObject({
  rowsOf: z.strictObject({ schema: z.string(), name: z.string() }),
});

/** What stands behind the rows of a table, in either format. */
export const END = z.strictObject({
  rows: z.string().regex(/^\d{1,20}$/),
  sum: z.string().regex(/^-?\d{1,40}$/).nullable(),
});

const end = z.strictObject({ end: END });

/** See the module. @throws {BackupError} `invalid_request`, `object_truncated` */
export async function* jsonSections(
  bytes: ExportBytes,
  header: ExportHeader,
): AsyncIterable<ExportSection> {
  for (const table of header.tables) {
    const { rowsOf } = await readControl(bytes, begin, "the name of a table");
    if (rowsOf.schema !== table.schema || rowsOf.name !== table.name) {
      bytes.line--;
      throw bytes.refuse("its tables do not come in the order of its header");
    }
    const section = new JsonSection(bytes, { table, encoding: header.encoding });
    yield section;
    await section.finish();
  }
  if (await bytes.peek() !== null) throw bytes.refuse("more follows after its last table");
}

class JsonSection implements ExportSection {
  readonly table: ExportedTable;
  readonly firstLine: number;
  readonly #bytes: ExportBytes;
  readonly #rows: JsonRows;
  #end: ExportedRows | undefined;

  constructor(
    bytes: ExportBytes,
    { table, encoding }: { table: ExportedTable; encoding: string },
  ) {
    this.table = table;
    this.firstLine = bytes.line;
    this.#bytes = bytes;
    this.#rows = new JsonRows({
      columns: table.columns.length,
      asCharacters: encoding !== "UTF8",
      line: bytes.line,
      refuse: (why, { line, byte }) => {
        bytes.line = line;
        return bytes.refuse(why, { byte });
      },
    });
  }

  async *rows(): AsyncIterable<Uint8Array> {
    const bytes = this.#bytes;
    for (let slice; (slice = await bytes.peek()) !== null;) {
      const { text, consumed, isOver } = this.#rows.take(slice);
      if (text.length > 0) yield text;
      bytes.consume(consumed);
      bytes.line = this.#rows.line;
      if (isOver) return;
    }
    throw bytes.cut();
  }

  async end(): Promise<ExportedRows> {
    if (this.#end === undefined) {
      this.#end = (await readControl(this.#bytes, end, "the end of a table")).end;
      if (this.#end.rows !== String(this.#rows.rows)) {
        this.#bytes.line--;
        throw this.#bytes.refuse(
          `${this.#rows.rows} rows stand before this line, which says ${this.#end.rows}`,
        );
      }
    }
    return this.#end;
  }

  /** Goes to what follows. */
  async finish(): Promise<void> {
    if (this.#end !== undefined) return;
    for await (const _ of this.rows());
    await this.end();
  }
}

async function readControl<T>(bytes: ExportBytes, shape: z.ZodType<T>, what: string): Promise<T> {
  const line = await bytes.readLine();
  if (line === null) throw bytes.cut();
  const parsed = shape.safeParse(jsonOf(line));
  if (parsed.success) return parsed.data;
  bytes.line--;
  throw bytes.refuse(`here should stand ${what}`);
}
