/**
 * Settings that stand in catalogs as `name=value`, written as `SET … TO …`.
 *
 * @module
 */
import { quoteDollar, quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";

/** Settings whose value is a list of names that the catalog holds already quoted. */
const LISTS = new Set([
  "local_preload_libraries",
  "oauth_validator_libraries",
  "output_plugin_libraries",
  "search_path",
  "session_preload_libraries",
  "shared_preload_libraries",
  "temp_tablespaces",
  "unix_socket_directories",
]);

/**
 * `SET "name" TO 'value'`.
 *
 * @param item as in `setconfig`, such as `work_mem=64MB`
 */
export function setClause(item: string): string {
  const equals = item.indexOf("=");
  const name = item.slice(0, equals);
  const value = item.slice(equals + 1);
  const literals = LISTS.has(name.toLowerCase()) ? splitNames(value) : [value];
  const quoted = literals.map((literal) => quoteLiteral(literal).trimStart()).join(", ");
  return `SET ${name.split(".").map(quoteIdentifier).join(".")} TO ${
    quoted === "" ? "''" : quoted
  }`;
}

/** The names of a list such as `"$user", public`. */
function splitNames(list: string): string[] {
  return [...list.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)]
    .filter((match) => match[0] !== "")
    .map(([, quoted, plain]) =>
      quoted === undefined ? plain!.trim() : quoted.replaceAll('""', '"')
    );
}

/**
 * A statement about the database it runs in, whatever its name.
 *
 * @param before what stands before the database's name
 * @param after what stands behind it
 */
export function forThisDatabase(before: string, after: string): string {
  const format = `${before.replaceAll("%", "%%")}%I${after.replaceAll("%", "%%")}`;
  const literal = quoteLiteral(format).trimStart();
  return `DO ${quoteDollar(`BEGIN EXECUTE format(${literal}, current_database()); END`)}`;
}
