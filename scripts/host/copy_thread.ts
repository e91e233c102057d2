/**
 * A thread that copies rows of a backup: it has a connection, a repository and a compressor of its own.
 *
 * It takes two tasks at a time. They have one connection and use it in turn: while the server sends rows
 * of the second, those of the first are sealed and stored.
 *
 * @module
 */
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { Turns } from "../../supabase/functions/backup/core/turns.ts";
import {
  joinSnapshot,
  type OwnFingerprints,
} from "../../supabase/functions/backup/dump/data/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  pinSettings,
  refuseViewsOfUsers,
} from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { copyPart } from "../../supabase/functions/backup/usecases/backup/copy_rows.ts";
import { hostFingerprints } from "./row_hash/host_fingerprints.ts";
import { Opening } from "./opening.ts";
import { scheduleInBatches } from "./schedule_in_batches.ts";
import {
  openThreadRepository,
  serveThread,
  type TaskContext,
  type ThreadWork,
} from "./serve_thread.ts";
import type { CopyTask, ThreadAccess } from "./thread_messages.ts";

class CopyThread implements ThreadWork<CopyTask> {
  readonly #access: ThreadAccess;
  readonly #turns = new Turns();
  readonly #fingerprints: OwnFingerprints;
  readonly #repository: Opening<Repository>;
  /** Opened with the thread, for the first task. */
  #opening: Promise<Session> | undefined;
  #session: Session | undefined;
  #snapshotId: string | undefined;

  constructor(access: ThreadAccess, onDoubt: (entry: string) => void) {
    this.#access = access;
    this.#fingerprints = hostFingerprints({ onDoubt });
    this.#repository = new Opening(() => openThreadRepository(access));
    this.#opening = this.#open();
    this.#opening.catch(() => {}); // the first task tells it
  }

  async do({ snapshotId, payload }: CopyTask, context: TaskContext): Promise<unknown> {
    const repository = await this.#repository.opened();
    const turn = await this.#turns.take();
    let isReading = true;
    const onRead = () => {
      isReading = false;
      turn.end();
    };
    try {
      context.signal.throwIfAborted();
      const session = await this.#joined(snapshotId);
      const fingerprints = this.#fingerprints;
      return await copyPart(payload, { ...context, session, repository, onRead, fingerprints });
    } catch (error) {
      if (isReading) await this.#forgetSession();
      throw error;
    } finally {
      turn.end();
    }
  }

  async close(): Promise<void> {
    const session = this.#session ?? await this.#opening?.catch(() => undefined);
    await session?.close();
  }

  /** After a failure the next task has a connection of its own: this one may be broken. */
  async #forgetSession(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  async #joined(snapshotId: string): Promise<Session> {
    const session = this.#session ??= await this.#opened();
    if (this.#snapshotId === snapshotId && session.inTransaction) return session;
    if (session.inTransaction) await session.execute("ROLLBACK");
    this.#snapshotId = snapshotId;
    await joinSnapshot(session, snapshotId);
    const repository = await this.#repository.opened();
    await repository.rememberBackup("latest");
    return session;
  }

  #opened(): Promise<Session> {
    const opening = this.#opening ?? this.#open();
    this.#opening = undefined;
    return opening;
  }

  async #open(): Promise<Session> {
    const session = await connect({ url: new Secret(this.#access.databaseUrl) });
    await pinSettings(session);
    await refuseViewsOfUsers(session);
    return session;
  }
}

scheduleInBatches();
serveThread<CopyTask>((access, tell) =>
  new CopyThread(access, (entry) => tell({ say: "doubtful", entry }))
);
