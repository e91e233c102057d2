/**
 * Copies the rows of a backup in threads.
 *
 * @module
 */
import type {
  CopyRowsResult,
  RowCopier,
} from "../../supabase/functions/backup/usecases/copy_rows.ts";
import type { ThreadPool } from "./thread_pool.ts";

/** A thread is ready after about a tenth of a second; so many bytes are copied meanwhile. */
const LEAST_BYTES = 32 << 20;

/** The pool as a copier of rows. */
export function threadCopier(pool: ThreadPool): RowCopier {
  return {
    concurrency: pool.concurrency,
    leastBytes: LEAST_BYTES,
    async copy(payload, { snapshotId, onBytes, signal }) {
      const done = await pool.run({ kind: "copy", snapshotId, payload }, { onBytes, signal });
      return done as { result: CopyRowsResult; bytes: number };
    },
  };
}
