/**
 * Saves the items of a backup in threads.
 *
 * @module
 */
import type { RangeResult } from "../../supabase/functions/backup/usecases/items/save_ranges.ts";
import type {
  ItemSaver,
  SaveDone,
  SaveWatch,
} from "../../supabase/functions/backup/usecases/items/save_task.ts";
import type { OpenedSaver } from "../../supabase/functions/backup/usecases/deps.ts";
import type { SaveWork, ThreadAccess } from "./thread_messages.ts";
import { ThreadEnded, ThreadPool } from "./thread_pool.ts";

/** A thread is ready after about two tenths of a second; so much is read meanwhile. */
const LEAST_BYTES = 16 << 20;

/** Makes a service's threads; they start with the first file to save. */
export function saverThreads(threads: number): (access: ThreadAccess) => OpenedSaver {
  return (access) => {
    let pool: ThreadPool | undefined;
    const open = () => pool ??= new ThreadPool({ kind: "save", threads, access });
    return {
      saver: threadSaver(open),
      async leave() {
        const left = pool;
        pool = undefined; // the same job may go on later
        await left?.close();
      },
    };
  };
}

/** A pool as a saver of items. What a thread that died was doing, the worker does itself. */
export function threadSaver(pool: () => ThreadPool): ItemSaver {
  const run = async (work: SaveWork["work"], watch: SaveWatch): Promise<unknown> => {
    try {
      return await pool().run({ kind: "save", work }, watch);
    } catch (error) {
      if (error instanceof ThreadEnded) return null;
      throw error;
    }
  };
  return {
    leastBytes: LEAST_BYTES,
    async save(items, watch) {
      return await run({ items }, watch) as SaveDone | null;
    },
    async saveRange(range, watch) {
      return await run({ range }, watch) as RangeResult | null;
    },
  };
}
