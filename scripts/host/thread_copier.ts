/**
 * Copies the rows of a backup in threads.
 *
 * @module
 */
import { estimateStoredBytes } from "../../supabase/functions/backup/dump/mod.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type {
  CopyRowsResult,
  RowCopier,
} from "../../supabase/functions/backup/usecases/backup/copy_rows.ts";
import type { ThreadPool } from "./thread_pool.ts";

/** A thread is ready after about a tenth of a second; so many bytes are copied meanwhile. */
const LEAST_BYTES = 32 << 20;

/** Starts the threads while the backup has only begun, where there is as much to copy as is worth it. */
export async function startEarly(pool: ThreadPool, session: Session): Promise<void> {
  if (await estimateStoredBytes(session) >= LEAST_BYTES) pool.start();
}

/**
 * The pool as a copier of rows. Each result also names the entries that any thread has found in doubt, because
 * the part that found it may have failed and been done again by another thread.
 */
export function threadCopier(
  pool: Pick<ThreadPool, "concurrency" | "doubtful" | "run">,
): RowCopier {
  return {
    concurrency: pool.concurrency,
    leastBytes: LEAST_BYTES,
    async copy(payload, { snapshotId, onBytes, signal }) {
      const done = await pool.run({ kind: "copy", snapshotId, payload }, { onBytes, signal });
      const { result, bytes } = done as { result: CopyRowsResult; bytes: number };
      const doubtful = new Set([...pool.doubtful, ...result.doubtful ?? []]);
      return {
        result: doubtful.size === 0 ? result : { ...result, doubtful: [...doubtful] },
        bytes,
      };
    },
  };
}
