/**
 * A thread that loads rows of a restore: it has two connections, each with one part that the server takes
 * and one that is read and unpacked meanwhile.
 *
 * It enters `restore/` beside its door, because loading all of it takes as long as some megabytes of rows.
 *
 * @module
 */
import type { Piece } from "../../supabase/functions/backup/core/model.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { LoadLane } from "../../supabase/functions/backup/restore/load_lane.ts";
import { prepareSession } from "../../supabase/functions/backup/restore/prepare_session.ts";
import { useBulkSettings } from "../../supabase/functions/backup/usecases/backup/bulk_settings.ts";
import { Opening } from "./opening.ts";
import {
  openThreadRepository,
  serveThread,
  type TaskContext,
  type ThreadWork,
} from "./serve_thread.ts";
import {
  LANES_A_THREAD,
  type LoadTask,
  type RestoreSettings,
  type ThreadAccess,
} from "./thread_messages.ts";

class LoadThread implements ThreadWork<LoadTask> {
  readonly #access: ThreadAccess;
  readonly #repository: Opening<Repository>;
  readonly #sessions: Session[] = [];
  /** Begun by the first task, which says how. */
  #lanes: Opening<LoadLane[]> | undefined;

  constructor(access: ThreadAccess) {
    this.#access = access;
    this.#repository = new Opening(() => openThreadRepository(access));
  }

  /** Each part commits by itself. */
  async do({ load, part, restore }: LoadTask, { signal }: TaskContext): Promise<null> {
    const repository = await this.#repository.opened();
    this.#lanes ??= new Opening(() => this.#openLanes(restore));
    const [lane] = (await this.#lanes.opened()).toSorted((a, b) => a.busy - b.busy);
    signal.throwIfAborted();
    const readPieces = (pieces: readonly Piece[]) =>
      repository.readPieces(pieces, { passing: true, signal });
    await lane!.load({ load, part, readPieces });
    return null;
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.splice(0).map((session) => session.close()));
  }

  async #openLanes(restore: RestoreSettings): Promise<LoadLane[]> {
    const lanes = Array.from({ length: LANES_A_THREAD }, () => this.#openLane(restore));
    try {
      return await Promise.all(lanes);
    } catch (error) {
      await Promise.allSettled(lanes); // so that none has a connection later
      await this.close();
      throw error;
    }
  }

  async #openLane(restore: RestoreSettings): Promise<LoadLane> {
    const session = await connect({ url: new Secret(this.#access.databaseUrl) });
    this.#sessions.push(session);
    await pinSettings(session);
    await prepareSession(session, restore, restore);
    await useBulkSettings(session, restore.jobs);
    return new LoadLane(session);
  }
}

serveThread<LoadTask>((access) => new LoadThread(access));
