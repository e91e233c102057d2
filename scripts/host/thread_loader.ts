/**
 * Loads the rows of a restore in threads.
 *
 * @module
 */
import {
  type LoadItem,
  PARTS_A_LANE,
  type RowLoader,
} from "../../supabase/functions/backup/restore/mod.ts";
import { LANES_A_THREAD, type RestoreSettings, type ThreadAccess } from "./thread_messages.ts";
import { type TaskOptions, ThreadPool } from "./thread_pool.ts";

/** A thread is ready after about a tenth of a second; so many bytes are loaded meanwhile. */
const LEAST_BYTES = 32 << 20;

/**
 * Threads that load by so many connections; null where the main thread does it with less work: it keeps as
 * many connections busy as one of them would.
 */
export function loadingThreads(jobs: number, access: ThreadAccess): ThreadPool | null {
  if (jobs <= LANES_A_THREAD) return null;
  return new ThreadPool({
    kind: "load",
    threads: Math.ceil(jobs / LANES_A_THREAD),
    tasksAThread: LANES_A_THREAD * PARTS_A_LANE,
    access,
  });
}

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
      // The other parts of the table are no business of this one, and what is packed cannot be sent.
      const item = JSON.parse(JSON.stringify({ load: { ...load, parts: [] }, part })) as LoadItem;
      await pool.run({ kind: "load", restore, ...item }, watch);
    },
  };
}
