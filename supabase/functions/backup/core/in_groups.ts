/**
 * Cuts a list of work into what one part of a job may do.
 *
 * @module
 */

/** How large a group may be. */
export interface GroupLimits<T> {
  /** Items in a group, at most. */
  size: number;
  /** Bytes in a group, at most; a single item may be larger. @default no limit */
  mostBytes?: number;
  /** @default nothing has bytes */
  bytesOf?: (item: T) => number;
}

/**
 * Groups in the order of the items: what lies together stays together.
 *
 * @example
 * ```ts
 * inGroups([1, 2, 9, 1], { size: 3, mostBytes: 5, bytesOf: (item) => item }); // [[1, 2], [9], [1]]
 * ```
 */
export function inGroups<T>(items: readonly T[], limits: GroupLimits<T>): T[][] {
  const { size, mostBytes = Infinity, bytesOf = () => 0 } = limits;
  const groups: T[][] = [];
  let bytes = 0;
  for (const item of items) {
    const last = groups.at(-1);
    if (last === undefined || last.length >= size || bytes + bytesOf(item) > mostBytes) {
      groups.push([item]);
      bytes = bytesOf(item);
    } else {
      last.push(item);
      bytes += bytesOf(item);
    }
  }
  return groups;
}
