/**
 * The only functions that put names and values into SQL text.
 *
 * @module
 */

/**
 * A quoted identifier. Quotes always, so that no server's list of keywords matters.
 *
 * @throws {TypeError} when the name is empty or holds a NUL, which PostgreSQL cannot store
 * @example
 * ```ts
 * quoteIdentifier('we"ird'); // '"we""ird"'
 * ```
 */
export function quoteIdentifier(name: string): string {
  if (name.length === 0) throw new TypeError("Cannot quote an identifier: it is empty");
  if (name.includes("\0")) throw new TypeError("Cannot quote an identifier: it holds a NUL");
  return `"${name.replaceAll('"', '""')}"`;
}

/** `"schema"."name"`. */
export function quoteQualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/**
 * A string literal that reads the same with standard_conforming_strings on and off.
 *
 * @throws {TypeError} when the value holds a NUL
 * @example
 * ```ts
 * quoteLiteral("it's");  // "'it''s'"
 * quoteLiteral("a\\b");  // " E'a\\\\b'"
 * ```
 */
export function quoteLiteral(value: string): string {
  if (value.includes("\0")) throw new TypeError("Cannot quote a literal: it holds a NUL");
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}

/**
 * A dollar-quoted literal for bodies, with a tag that the body does not contain.
 *
 * @example
 * ```ts
 * quoteDollar("select 1"); // "$_$select 1$_$"
 * ```
 */
export function quoteDollar(body: string): string {
  let tag = "_";
  while (body.includes(`$${tag}`) || body.endsWith("$")) {
    tag += "x";
    if (!body.includes(`$${tag}`)) break;
  }
  return `$${tag}$${body}$${tag}$`;
}
