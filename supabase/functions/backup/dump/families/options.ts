/**
 * Storage options (`reloptions`, `attoptions`) as SQL.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";

/**
 * The inside of `WITH (…)` or `SET (…)` from the catalog's `name=value` items.
 *
 * @example
 * ```ts
 * optionList(["fillfactor=70"]); // `"fillfactor"='70'`
 * ```
 */
export function optionList(items: string[], namespace?: string): string {
  const prefix = namespace === undefined ? "" : `${namespace}.`;
  return items.map((item) => {
    const equals = item.indexOf("=");
    const name = equals < 0 ? item : item.slice(0, equals);
    const value = equals < 0 ? "" : item.slice(equals + 1);
    return `${prefix}${quoteIdentifier(name)}=${quoteLiteral(value).trimStart()}`;
  }).join(", ");
}

/** ` WITH (…)` of a relation and its TOAST table; empty when both have no options. */
export function withClause(options: string[] | null, toastOptions: string[] | null = null): string {
  const parts = [];
  if (options !== null && options.length > 0) parts.push(optionList(options));
  if (toastOptions !== null && toastOptions.length > 0) {
    parts.push(optionList(toastOptions, "toast"));
  }
  return parts.length === 0 ? "" : `\nWITH (${parts.join(", ")})`;
}

/** ` TABLESPACE "…"`; empty for the database's own. */
export function tablespaceClause(tablespace: string | null): string {
  return tablespace === null ? "" : `\nTABLESPACE ${quoteIdentifier(tablespace)}`;
}
