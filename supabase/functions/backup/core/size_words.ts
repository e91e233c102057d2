/**
 * Numbers in sentences for people.
 *
 * @module
 */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/**
 * Bytes in the unit that suits them.
 *
 * @example
 * ```ts
 * sizeWords(1_530_000); // "1.5 MB"
 * ```
 */
export function sizeWords(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/**
 * A number with what is counted.
 *
 * @example
 * ```ts
 * countWords(1234, "row"); // "1,234 rows"
 * ```
 */
export function countWords(count: number, one: string): string {
  return `${count.toLocaleString("en-US")} ${one}${count === 1 ? "" : "s"}`;
}
