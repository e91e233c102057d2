/**
 * A thread of a host: it has a connection (for a restore two), a repository and a compressor of its own,
 * and does whole parts of a backup or of a restore.
 *
 * It takes two tasks for a connection at a time, which use it in turn: while the server sends rows of the
 * second, those of the first are sealed and stored; while it takes rows of the first, those of the second
 * are read and unpacked.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import type { Piece } from "../../supabase/functions/backup/core/model.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { Turns } from "../../supabase/functions/backup/core/turns.ts";
import { joinSnapshot } from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  pinSettings,
  refuseViewsOfUsers,
} from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { openRepository, type Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { LoadLane } from "../../supabase/functions/backup/restore/mod.ts";
import { useBulkSettings } from "../../supabase/functions/backup/usecases/bulk_settings.ts";
import { copyPart } from "../../supabase/functions/backup/usecases/copy_rows.ts";
import { prepareSession } from "../../supabase/functions/backup/usecases/restore_facts.ts";
import { nativeCode } from "./native_code.ts";
import { openHostStorage } from "./open_storage.ts";
import {
  type FromThread,
  LANES_A_THREAD,
  packError,
  type RestoreSettings,
  type ThreadAccess,
  type ThreadTask,
  type ToThread,
} from "./thread_messages.ts";

/** Progress is told in steps of this size. */
const TELL_BYTES = 1 << 20;

class Thread {
  readonly #access: ThreadAccess;
  readonly #turns = new Turns();
  readonly #stops = new Map<number, AbortController>();
  readonly #repository: Promise<Repository>;
  readonly #loading: Session[] = [];
  #lanes: Promise<LoadLane[]> | undefined;
  #session: Session | undefined;
  #snapshotId: string | undefined;

  constructor(access: ThreadAccess) {
    this.#access = access;
    this.#repository = openThreadRepository(access);
    this.#repository.catch(() => {}); // the first task tells it
  }

  async do(id: number, task: ThreadTask): Promise<void> {
    const stop = new AbortController();
    this.#stops.set(id, stop);
    const bytes = tellBytes(id);
    try {
      const result = task.kind === "copy"
        ? await this.#copy(task, { signal: stop.signal, onBytes: bytes.add })
        : await this.#load(task, stop.signal);
      bytes.flush();
      tell({ say: "done", id, result });
    } catch (error) {
      tell({ say: "failed", id, error: packError(error) });
    } finally {
      this.#stops.delete(id);
    }
  }

  stop(id: number): void {
    this.#stops.get(id)?.abort();
  }

  async close(): Promise<void> {
    await this.#session?.close();
    await Promise.all(this.#loading.map((session) => session.close()));
  }

  async #copy(
    { snapshotId, payload }: ThreadTask & { kind: "copy" },
    options: { signal: AbortSignal; onBytes: (bytes: number) => void },
  ): Promise<unknown> {
    const repository = await this.#repository;
    const turn = await this.#turns.take();
    let isReading = true;
    const onRead = () => {
      isReading = false;
      turn.end();
    };
    try {
      options.signal.throwIfAborted();
      const session = await this.#joined(snapshotId);
      return await copyPart(payload, { ...options, session, repository, onRead });
    } catch (error) {
      if (isReading) await this.#forgetSession();
      throw error;
    } finally {
      turn.end();
    }
  }

  /** Each part commits by itself. */
  async #load(
    { load, part, restore }: ThreadTask & { kind: "load" },
    signal: AbortSignal,
  ): Promise<unknown> {
    const repository = await this.#repository;
    this.#lanes ??= Promise.all(
      Array.from({ length: LANES_A_THREAD }, () => this.#openLane(restore)),
    );
    const [lane] = (await this.#lanes).toSorted((a, b) => a.busy - b.busy);
    signal.throwIfAborted();
    const readPieces = (pieces: readonly Piece[]) => repository.readPieces(pieces, { signal });
    await lane!.load({ load, part, readPieces });
    return null;
  }

  async #openLane(restore: RestoreSettings): Promise<LoadLane> {
    const session = await this.#open(restore);
    this.#loading.push(session);
    return new LoadLane(session);
  }

  /** After a failure the next task has a connection of its own: this one may be broken. */
  async #forgetSession(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  async #joined(snapshotId: string): Promise<Session> {
    const session = this.#session ??= await this.#open();
    if (this.#snapshotId === snapshotId && session.inTransaction) return session;
    if (session.inTransaction) await session.execute("ROLLBACK");
    this.#snapshotId = snapshotId;
    await joinSnapshot(session, snapshotId);
    const repository = await this.#repository;
    await repository.rememberBackup("latest");
    return session;
  }

  async #open(restore?: RestoreSettings): Promise<Session> {
    const session = await connect({ url: new Secret(this.#access.databaseUrl) });
    await pinSettings(session);
    if (restore === undefined) {
      await refuseViewsOfUsers(session);
    } else {
      await prepareSession(session, restore, restore);
      await useBulkSettings(session, restore.jobs);
    }
    return session;
  }
}

async function openThreadRepository(access: ThreadAccess): Promise<Repository> {
  const { repositoryUrl, key, compression } = access;
  return await openRepository({
    storage: await openHostStorage(repositoryUrl),
    key: key === null ? null : new Secret(key),
    ...nativeCode(),
    ...(compression === undefined ? {} : { compression }),
  });
}

function tellBytes(id: number) {
  let bytes = 0;
  const flush = () => {
    if (bytes > 0) tell({ say: "bytes", id, bytes });
    bytes = 0;
  };
  const add = (more: number) => {
    bytes += more;
    if (bytes >= TELL_BYTES) flush();
  };
  return { add, flush };
}

function tell(message: FromThread): void {
  self.postMessage(message);
}

let thread: Thread | undefined;

self.onmessage = async ({ data: message }: MessageEvent<ToThread>) => {
  switch (message.say) {
    case "open":
      thread = new Thread(message.access);
      break;
    case "do":
      await thread?.do(message.id, message.task);
      break;
    case "stop":
      thread?.stop(message.id);
      break;
    case "close":
      await thread?.close();
      tell({ say: "closed" });
      break;
  }
};
