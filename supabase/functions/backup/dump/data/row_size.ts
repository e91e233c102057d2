/**
 * SQL that estimates how long the values of a row are before compression, without unpacking them.
 *
 * @module
 */
import type { TableFacts } from "../../core/model.ts";
import { quoteIdentifier } from "../../postgres/quote.ts";
import { dataColumns } from "./table_data.ts";

/** Base types whose length before compression the server knows without unpacking the value. */
const LENGTH_KNOWN = new Set(["text", "bytea", "character varying"]);

/** Types whose values are too short to matter. */
const SHORT = new Set([
  ...["boolean", "smallint", "integer", "bigint", "real", "double precision", "uuid", "oid"],
  ...["date", "time without time zone", "time with time zone", "interval", '"char"', "name"],
  ...["timestamp without time zone", "timestamp with time zone", "inet", "cidr", "macaddr"],
]);

/** A stored value is at most so many times as long when it is unpacked. */
const MOST_UNPACKED = 256;

/** Whether rows of this table cannot be longer than so many bytes together. */
export function isSurelyBelow({ tableBytes, toastBytes }: TableFacts, bytes: number): boolean {
  return (Number(tableBytes) + Number(toastBytes)) * MOST_UNPACKED <= bytes;
}

/**
 * Expressions of type int4 over the table aliased `t` that say about how long each long value of a row is; of
 * a value that is not there they are NULL.
 */
export function sizeExpressions(table: TableFacts): string[] {
  return dataColumns(table).flatMap(({ name, typeName }) => {
    const type = plainName(typeName);
    if (SHORT.has(type) || /^numeric\(\d{1,2},/.test(typeName)) return [];
    const column = `t.${quoteIdentifier(name)}`;
    return LENGTH_KNOWN.has(type)
      ? `pg_catalog.octet_length(${column})`
      : `pg_catalog.pg_column_size(${column})`;
  });
}

/** A type's name without its modifier, and without the quotes of a name that is no key word of SQL. */
function plainName(typeName: string): string {
  const name = typeName.replace(/\(\d+(,\d+)?\)/, "");
  // Quoted for another reason: "char" is not char.
  return name === '"char"' ? name : name.replace(/^"([a-z0-9]+)"$/, "$1");
}

/** One row's length out of them, of type int8. */
export function rowSize(sizes: readonly string[]): string {
  return sizes.map((size) => `coalesce(${size}, 0)::pg_catalog.int8`).join(" + ");
}

/** The length of all rows out of them: a sum for each leaves out by itself what is NULL, and costs half. */
export function sumOfSizes(sizes: readonly string[]): string {
  return sizes.map((size) => `coalesce(sum(${size}), 0)`).join(" + ");
}
