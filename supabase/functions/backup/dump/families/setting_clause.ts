/**
 * Settings stored as `name=value`, written as SQL.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";

/** Settings that hold a list of quoted names; their values are lists in SQL too. */
const QUOTED_LISTS = new Set([
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
 * `"name" TO 'value'` for an item of proconfig or setconfig.
 *
 * @throws {TypeError} when the item is not `name=value`
 * @example
 * ```ts
 * settingClause('search_path="$user", public'); // `"search_path" TO '$user', 'public'`
 * ```
 */
export function settingClause(item: string): string {
  const equals = item.indexOf("=");
  if (equals < 1) throw new TypeError("Cannot write a setting: it is not name=value");
  const name = item.slice(0, equals);
  const value = item.slice(equals + 1);
  const values = QUOTED_LISTS.has(name.toLowerCase()) ? splitNames(value) : [value];
  return `${quoteIdentifier(name)} TO ${values.map((one) => quoteLiteral(one).trim()).join(", ")}`;
}

/** The names of a list such as `a, "B c", ""`; an empty text stays one empty name. */
function splitNames(list: string): string[] {
  const names: string[] = [];
  for (const match of list.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,"]+))\s*(?:,|$)/gy)) {
    names.push(match[1]?.replaceAll('""', '"') ?? match[2]!.trim());
  }
  return names.length === 0 ? [""] : names;
}
