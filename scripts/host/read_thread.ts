/**
 * A thread that reads rows of a backup for connections of the main thread: it opens and unpacks them, so that the
 * main thread only sends them to the server.
 *
 * @module
 */
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { Opening } from "./opening.ts";
import {
  openThreadRepository,
  serveThread,
  type TaskContext,
  type ThreadWork,
} from "./serve_thread.ts";
import type { ReadTask, ThreadAccess } from "./thread_messages.ts";

class ReadThread implements ThreadWork<ReadTask> {
  readonly #repository: Opening<Repository>;

  constructor(access: ThreadAccess) {
    this.#repository = new Opening(() => openThreadRepository(access));
  }

  async do({ pieces }: ReadTask, { signal, onSlice }: TaskContext): Promise<null> {
    const repository = await this.#repository.opened();
    const slices = repository.readPieces(pieces, { passing: true, signal });
    for await (const slice of slices) await onSlice(slice);
    return null;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

serveThread<ReadTask>((access) => new ReadThread(access));
