/**
 * How the rows of each table are stored and compared: columns, format, fingerprint.
 *
 * @module
 */
import type { BinaryForm, ColumnFacts, Entry, TableData, TableFacts } from "../../core/model.ts";
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { Session } from "../../postgres/session.ts";
import { binaryFormOf, type HashForm, hashFormOf, readTypes, type TypeCatalog } from "./types.ts";

/** What {@linkcode describeTableData} needs to know. */
export interface DescribeOptions {
  /** `auto`: and `binary`: binary where it is known to be safe, else text. */
  copyFormat: "auto" | "text" | "binary";
  /** Where they have been read before. */
  types?: TypeCatalog;
}

/** One `TableData` for each entry that has rows, in the order of the entries. */
export async function describeTableData(
  session: Session,
  entries: readonly Pick<Entry, "key" | "kind" | "table">[],
  options: DescribeOptions,
): Promise<TableData[]> {
  const types = options.types ?? await readTypes(session);
  const described: TableData[] = [];
  for (const entry of entries) {
    if (entry.kind === "large-object-data") described.push(largeObjectData(entry, session));
    if (entry.kind !== "table-data" || entry.table === undefined) continue;
    const columns = dataColumns(entry.table);
    const forms = binaryForms(types, columns, options);
    described.push({
      entry: entry.key,
      columns: columns.map((column) => quoteIdentifier(column.name)),
      format: forms === null ? "text" : "binary",
      serverVersion: session.serverVersion,
      encoding: session.serverEncoding,
      columnTypes: columns.map((column) => column.typeName),
      ...(forms === null ? {} : { columnForms: forms }),
      extensionVersions: {},
      fingerprintExpression: fingerprintExpression(types, columns),
    });
  }
  return described;
}

/** The columns that have data: all but generated ones. */
export function dataColumns(table: TableFacts): ColumnFacts[] {
  return table.columns.filter((column) => column.generated === "");
}

/** The forms of all columns when every one may be stored in binary, else null. */
function binaryForms(
  types: TypeCatalog,
  columns: readonly ColumnFacts[],
  options: DescribeOptions,
): BinaryForm[] | null {
  // Rows without columns are empty lines in text and need no header.
  if (options.copyFormat === "text" || columns.length === 0) return null;
  const forms: BinaryForm[] = [];
  for (const column of columns) {
    const form = binaryFormOf(types, column.typeOid);
    if (form === null) return null;
    forms.push(form);
  }
  return forms;
}

/**
 * A 64-bit hash of the row aliased `t` that is the same on every server: see
 * `docs/decisions/0003-fingerprints-are-made-by-the-server.md`.
 */
export function fingerprintExpression(
  types: TypeCatalog,
  columns: readonly Pick<ColumnFacts, "name" | "typeOid">[],
): string {
  return hashOfRow(columns.map(({ name, typeOid }) => {
    return { name: quoteIdentifier(name), form: hashFormOf(types, typeOid) };
  }));
}

/** The expression for columns whose forms are known; their names are quoted. */
export function hashOfRow(columns: readonly { name: string; form: HashForm }[]): string {
  if (columns.length === 0) return "0::pg_catalog.int8";
  const items = columns.map((column) => {
    const name = `t.${column.name}`;
    switch (column.form) {
      case "direct":
        return name;
      case "string":
        // Collations may call different strings equal, and ICU's keys change with its version.
        return `pg_catalog.hashtextextended(${name}::pg_catalog.text COLLATE "pg_catalog"."C", 0)`;
      case "jsonb":
        return `pg_catalog.jsonb_hash_extended(${name}, 0)`;
      case "text":
        // A row around it: the output function is called, never a cast that somebody made.
        return `pg_catalog.hashtextextended(ROW(${name})::pg_catalog.text COLLATE "pg_catalog"."C", 0)`;
    }
  });
  return `${ROW_HASH}(0, pg_catalog.hash_record_extended(ROW(${items.join(", ")}), 0))`;
}

/**
 * Around the hash of a record, as its seed: that alone is a sum over the columns, so the sum over all rows
 * would often be the same when values of a column had changed places.
 */
const ROW_HASH = "pg_catalog.hashint4extended";

/** Whether fingerprints by this expression are made in the way of this release. */
export function isOfThisRelease(fingerprintExpression: string | null): boolean {
  return fingerprintExpression?.startsWith(`${ROW_HASH}(`) === true;
}

function largeObjectData(entry: Pick<Entry, "key">, session: Session): TableData {
  return {
    entry: entry.key,
    columns: ["loid", "pageno", "data"],
    format: "binary",
    serverVersion: session.serverVersion,
    encoding: session.serverEncoding,
    columnTypes: ["oid", "integer", "bytea"],
    columnForms: ["oid", "int4", "bytea"].map((name) => ({ kind: "base", name })),
    extensionVersions: {},
    fingerprintExpression: null,
  };
}
