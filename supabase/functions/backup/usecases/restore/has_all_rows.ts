/**
 * Whether a restore that did not come out as the backup has at least all of its rows: then nothing is half
 * filled, and what is missing was named.
 *
 * @module
 */

/** Identities of what holds rows or counts them, and of keys that show that rows are missing. */
const OF_ROWS = /^(table-data|large-object-data|sequence-set|FOREIGN KEY) /;

interface Named {
  identity: string;
}

/** See the module. */
export function hasAllRows(
  { failed, skipped, differences }: {
    failed: readonly Named[];
    skipped: readonly Named[];
    differences: readonly Named[];
  },
): boolean {
  return ![...failed, ...skipped, ...differences].some(({ identity }) => OF_ROWS.test(identity));
}
