/**
 * A thread that saves items of a backup: it reads them from their source by connections of its own, and
 * seals and stores them in a repository of its own.
 *
 * It enters `project/` and `usecases/` beside their doors, because loading all of them takes as long as some
 * thousand small files.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { ItemSource } from "../../supabase/functions/backup/core/items.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { DirectFetch, isByProxy } from "../../supabase/functions/backup/project/direct_fetch.ts";
import { openFilesSource } from "../../supabase/functions/backup/project/files_access.ts";
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { ParentItems } from "../../supabase/functions/backup/usecases/items/parent_items.ts";
import { saveRange } from "../../supabase/functions/backup/usecases/items/save_ranges.ts";
import {
  type SaveTask,
  saveTask,
} from "../../supabase/functions/backup/usecases/items/save_task.ts";
import { nativeHashing } from "./native_hashing.ts";
import { Opening } from "./opening.ts";
import {
  openThreadRepository,
  serveThread,
  type TaskContext,
  type ThreadWork,
} from "./serve_thread.ts";
import type { SaveWork, ThreadAccess } from "./thread_messages.ts";

class SaveThread implements ThreadWork<SaveWork> {
  readonly #access: ThreadAccess;
  readonly #repository: Opening<Repository>;
  readonly #source: Opening<ItemSource>;
  readonly #hashing = nativeHashing();
  readonly #direct = new DirectFetch();
  #session: Session | null = null;
  /** Of the backup that the last task named. */
  #parent: { backupId: string | undefined; items: ParentItems } | undefined;

  constructor(access: ThreadAccess) {
    this.#access = access;
    this.#repository = new Opening(() => openThreadRepository(access));
    this.#source = new Opening(() => this.#openSource());
  }

  async do({ work }: SaveWork, context: TaskContext): Promise<unknown> {
    const opened = {
      repository: await this.#repository.opened(),
      source: await this.#source.opened(),
    };
    const tools = { ...context, ...opened, hashing: this.#hashing, recycle: this.#direct.recycle };
    if ("range" in work) return await saveRange(work.range, tools);
    const parent = this.#parentItems(work.items.parent, tools.repository);
    return await saveTask(work.items, { ...tools, parent, now: () => systemClock.now() });
  }

  async close(): Promise<void> {
    await this.#source.settled();
    await this.#session?.close();
    this.#direct.close();
  }

  #parentItems(parent: SaveTask["parent"], repository: Repository): ParentItems {
    const backupId = parent?.backupId;
    if (this.#parent === undefined || this.#parent.backupId !== backupId) {
      this.#parent = { backupId, items: new ParentItems(repository, parent) };
    }
    return this.#parent.items;
  }

  async #openSource(): Promise<ItemSource> {
    const { files, databaseUrl } = this.#access;
    return await openFilesSource(files!, {
      projectRef: null, // only the owner of the repository is known by it
      tools: {
        hashing: this.#hashing,
        ...(isByProxy() ? {} : { fetch: this.#direct.fetch }),
      },
      openDatabase: async () =>
        this.#session = databaseUrl === "" ? null : await connect({ url: new Secret(databaseUrl) }),
    });
  }
}

serveThread<SaveWork>((access) => new SaveThread(access));
