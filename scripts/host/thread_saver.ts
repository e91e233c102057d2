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
import type { SaveWork } from "./thread_messages.ts";
import { ThreadEnded, type ThreadPool } from "./thread_pool.ts";

/** The pool as a saver of items. What a thread that died was doing, the worker does itself. */
export function threadSaver(pool: ThreadPool): ItemSaver {
  const run = async (work: SaveWork["work"], watch: SaveWatch): Promise<unknown> => {
    try {
      return await pool.run({ kind: "save", work }, watch);
    } catch (error) {
      if (error instanceof ThreadEnded) return null;
      throw error;
    }
  };
  return {
    async save(items, watch) {
      return await run({ items }, watch) as SaveDone | null;
    },
    async saveRange(range, watch) {
      return await run({ range }, watch) as RangeResult | null;
    },
  };
}
