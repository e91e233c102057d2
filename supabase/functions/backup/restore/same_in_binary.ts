/**
 * Whether rows in binary form mean the same in a column of another type.
 *
 * @module
 */

/**
 * COPY does not say which type its bytes are of: a bigint is taken for a moment without a word, and even their
 * hashes are the same. So types have to be the same by name; lengths the server looks after itself, and texts have one
 * form.
 *
 * @example
 * ```ts
 * isSameInBinary("character varying(9)", "text"); // true
 * isSameInBinary("bigint", "timestamp with time zone"); // false
 * ```
 */
export function isSameInBinary(typeName: string, other: string): boolean {
  return withoutLength(typeName) === withoutLength(other);
}

function withoutLength(typeName: string): string {
  return typeName.replace(/\(\d[^)]*\)/, "").replace(/^character varying/, "text");
}
