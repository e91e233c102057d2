/**
 * Names that operators give as patterns.
 *
 * @module
 */

/**
 * Whether a name matches a pattern of literal characters, `*` (any run) and `?` (any one).
 *
 * @example
 * ```ts
 * matchesPattern("app_*", "app_one"); // true
 * ```
 */
export function matchesPattern(pattern: string, name: string): boolean {
  const expression = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${expression}$`, "su").test(name);
}

/**
 * Whether a table is one of those that the patterns of `schema.table` name.
 *
 * @param sqlName quoted and qualified
 * @example
 * ```ts
 * matchesTable(["public.order*"], '"public"."orders"'); // true
 * ```
 */
export function matchesTable(patterns: readonly string[], sqlName: string): boolean {
  if (patterns.length === 0) return false;
  const name = [...sqlName.matchAll(/"((?:[^"]|"")*)"/g)]
    .map(([, quoted]) => quoted!.replaceAll('""', '"')).join(".");
  return patterns.some((pattern) => matchesPattern(pattern, name));
}
