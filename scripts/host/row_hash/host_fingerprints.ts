/**
 * Fingerprints that a thread makes of the rows that it copies.
 *
 * @module
 */
import type { TableData } from "../../../supabase/functions/backup/core/model.ts";
import type {
  OwnFingerprint,
  OwnFingerprints,
} from "../../../supabase/functions/backup/dump/data/mod.ts";
import { type ColumnHash, columnHashes } from "./column_hashes.ts";
import { RowHasher } from "./row_hasher.ts";

/** Of so many ranges of a table, the server hashes one too, besides the one at the table's beginning. */
const CHECK_EVERY = 64;

interface KnownTable {
  columns: readonly ColumnHash[] | null;
  ranges: number;
}

/** How a thread makes them. */
export interface HostFingerprintsOptions {
  /** @default 64 */
  checkEvery?: number;
  /** Hears at once of an entry whose fingerprints are in doubt: the part that found it may still fail. */
  onDoubt?: (entry: string) => void;
}

/** For one thread, as long as it lives. */
export function hostFingerprints(
  { checkEvery = CHECK_EVERY, onDoubt = () => {} }: HostFingerprintsOptions = {},
): OwnFingerprints {
  const tables = new Map<string, KnownTable>();
  const doubtful = new Set<string>();
  // A range that fails does not give its hasher back; the next one then has a new one.
  const free: RowHasher[] = [];
  const knownTable = (data: TableData): KnownTable => {
    const key = `${data.entry}\n${data.fingerprintExpression}`;
    const table = tables.get(key) ?? { columns: columnHashes(data), ranges: 0 };
    tables.set(key, table);
    return table;
  };
  return {
    doubtful,
    begin(data, fromPage) {
      const table = knownTable(data);
      if (table.columns === null) return undefined;
      const hasher = free.pop() ?? new RowHasher();
      hasher.begin(table.columns);
      const before = table.ranges++;
      return {
        isChecked: fromPage === 0 || (before > 0 && before % checkEvery === 0),
        append: (slice) => hasher.append(slice),
        end() {
          free.push(hasher);
          return hasher.end();
        },
        giveUp: () => table.columns = null,
        doubt() {
          table.columns = null;
          doubtful.add(data.entry);
          onDoubt(data.entry);
        },
      } satisfies OwnFingerprint;
    },
  };
}
