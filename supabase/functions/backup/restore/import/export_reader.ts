/**
 * Reads export files of either format: `docs/export-format.md`.
 *
 * @module
 */
import { z } from "zod";
import { fromUtf8 } from "../../core/bytes.ts";
import { BackupError } from "../../core/errors.ts";
import {
  EXPORT_FORMAT,
  type ExportedRows,
  type ExportedTable,
  type ExportHeader,
  SQL_HEADER_MARK,
} from "../../core/export_format.ts";
import { ExportBytes, type ImportFile, jsonOf } from "./export_bytes.ts";
import { jsonSections } from "./json_sections.ts";
import { SqlItems, sqlSections } from "./sql_items.ts";

/** The rows of one table in a file. */
export interface ExportSection {
  table: ExportedTable;
  /** Line of the first row: each row is one line. */
  firstLine: number;
  /** The rows as text COPY data. */
  rows(): AsyncIterable<Uint8Array>;
  /** What stands behind the rows; only when they are read. */
  end(): Promise<ExportedRows>;
}

/** An open file. */
export interface ExportReader {
  name: string;
  header: ExportHeader;
  /** The tables in the order of the header; the next one only when the rows of one are read. */
  sections(): AsyncIterable<ExportSection>;
  /** Of a file in SQL: statements and rows. */
  items(): SqlItems;
  close(): Promise<void>;
}

const table = z.strictObject({
  schema: z.string().min(1),
  name: z.string().min(1),
  columns: z.array(z.strictObject({ name: z.string().min(1), type: z.string().min(1) })),
  definition: z.strictObject({
    needs: z.array(z.strictObject({
      kind: z.enum(["schema", "type", "sequence"]),
      schema: z.string().nullable(),
      name: z.string().min(1),
      create: z.array(z.string()),
    })),
    before: z.array(z.string()),
    after: z.array(z.string()),
  }).optional(),
});

const header = z.strictObject({
  supabaseBackupExport: z.int().min(1).max(EXPORT_FORMAT),
  format: z.enum(["json", "sql"]),
  of: z.string(),
  at: z.string(),
  writtenBy: z.string(),
  serverVersion: z.int(),
  encoding: z.string().regex(/^[A-Za-z0-9_]+$/),
  sqlText: z.enum(["utf8", "bytes"]),
  tables: z.array(table),
});

/** Opens a file and reads its header. @throws {BackupError} `invalid_request`, `object_truncated` */
export async function openExport(file: ImportFile): Promise<ExportReader> {
  const bytes = new ExportBytes(file);
  try {
    const line = await bytes.readLineBytes();
    bytes.line = 1;
    const header = readHeader(bytes, line ?? new Uint8Array());
    bytes.line = 2;
    if (header.format === "sql" && header.sqlText === "bytes") bytes.decode = asBytes;
    return {
      name: file.name,
      header,
      sections: () =>
        header.format === "json" ? jsonSections(bytes, header) : sqlSections(bytes, header),
      items: () => new SqlItems(bytes, header),
      close: () => bytes.close(),
    };
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

function readHeader(bytes: ExportBytes, line: Uint8Array): ExportHeader {
  const text = headerText(bytes, line);
  const mark = text.startsWith(SQL_HEADER_MARK) ? SQL_HEADER_MARK : "";
  const value = jsonOf(text.slice(mark.length));
  const version = (value as { supabaseBackupExport?: unknown } | null)?.supabaseBackupExport;
  if (version === undefined) throw foreign(bytes, text);
  if (typeof version === "number" && !(version >= 1 && version <= EXPORT_FORMAT)) {
    throw bytes.refuse(`it has format ${version}, and this release reads 1 to ${EXPORT_FORMAT}`, {
      hint: "Nothing was changed. Import it with the release that wrote it, or a newer one.",
    });
  }
  const parsed = header.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw bytes.refuse(`its header is not whole: ${issue?.path.join(".")}`);
  }
  if ((parsed.data.format === "sql") !== (mark !== "")) throw foreign(bytes, text);
  return parsed.data as ExportHeader;
}

/** Names in a file in SQL may be in an encoding that only the header tells. */
function headerText(bytes: ExportBytes, line: Uint8Array): string {
  const asIs = asBytes(line);
  try {
    return /"sqlText":"bytes"/.test(asIs) && asIs.startsWith(SQL_HEADER_MARK)
      ? asIs
      : fromUtf8(line);
  } catch (error) {
    if (error instanceof TypeError) throw bytes.refuse("it is not text in UTF-8", { cause: error });
    throw error;
  }
}

function asBytes(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return text;
}

function foreign({ name }: ExportBytes, text: string): BackupError {
  const isJson = /^\s*[[{]/.test(text);
  return new BackupError(
    "invalid_request",
    `Cannot import ${name}: it does not begin with the header of an export of this software`,
    {
      hint: isJson
        ? "Nothing was changed. docs/export-format.md says what the first line of a file must be."
        : "Nothing was changed. SQL of other programs is for psql: " +
          "psql -X -1 -v ON_ERROR_STOP=1 -f FILE 'postgres://…'",
    },
  );
}
