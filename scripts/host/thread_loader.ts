/**
 * Loads the rows of a restore in threads.
 *
 * @module
 */
import type { RowLoader } from "../../supabase/functions/backup/restore/mod.ts";
import type { RestoreSettings } from "./thread_messages.ts";
import type { TaskOptions, ThreadPool } from "./thread_pool.ts";

/** A thread is ready after about a tenth of a second; so many bytes are loaded meanwhile. */
const LEAST_BYTES = 32 << 20;

/** The pool as a loader of rows. */
export function threadLoader(
  pool: ThreadPool,
  options: TaskOptions & { restore: RestoreSettings },
): RowLoader {
  const { restore, ...watch } = options;
  return {
    concurrency: pool.concurrency,
    leastBytes: LEAST_BYTES,
    async load({ load, part }) {
      // The other parts of the table are no business of this one.
      await pool.run({ kind: "load", restore, load: { ...load, parts: [] }, part }, watch);
    },
  };
}
