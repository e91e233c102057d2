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
import type { OpenedCopier } from "../../supabase/functions/backup/usecases/deps.ts";
import type { ThreadAccess } from "./thread_messages.ts";
import { ThreadEnded, ThreadPool } from "./thread_pool.ts";

/** A thread is ready after about a tenth of a second; so many bytes are copied meanwhile. */
const LEAST_BYTES = 32 << 20;

/** Starts a thread while the backup has only begun, where there is as much to copy as is worth it. */
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

/**
 * Makes a service's threads; they start with the first rows that are worth it. What one that died was doing, the
 * worker does itself.
 */
export function copierThreads(threads: number): (access: ThreadAccess) => OpenedCopier {
  return (access) => {
    let pool: ThreadPool | undefined;
    const open = () => pool ??= new ThreadPool({ kind: "copy", threads, access });
    return {
      copier: {
        concurrency: threads,
        leastBytes: LEAST_BYTES,
        async copy(payload, options) {
          try {
            return await threadCopier(open()).copy(payload, options);
          } catch (error) {
            // A doubt that only the dead thread could have told must not be lost with it.
            if (!(error instanceof ThreadEnded) || (pool?.doubtful.size ?? 0) > 0) throw error;
            return null;
          }
        },
      },
      async leave() {
        const left = pool;
        pool = undefined; // the same job may go on later
        await left?.close();
      },
    };
  };
}
