/**
 * The moment of a backup on a connection of this process: good for as long as the process lives.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { pinSettings } from "../postgres/pinned_settings.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import { endHoldersOf } from "./keeper_list.ts";
import { openSnapshot } from "./snapshot.ts";
import {
  checkHeld,
  endBackend,
  type HeldSnapshot,
  identify,
  type OpenHeldOptions,
  type SnapshotHolder,
} from "./snapshot_holder.ts";
import { DOOR_SECONDS, doorOf } from "./snapshot_join.ts";
import { newHolderName } from "./snapshot_names.ts";

/** What {@linkcode sessionHolder} works with. */
export interface SessionHolderOptions {
  /** Opens a connection to the database that is saved. */
  connect: () => Promise<Session>;
}

/** A holder whose transactions live on connections of this process. */
export function sessionHolder({ connect }: SessionHolderOptions): SnapshotHolder {
  const mine = new Map<string, Guard>();
  const close = async (held: HeldSnapshot) => {
    const guard = mine.get(held.name);
    if (guard !== undefined) {
      mine.delete(held.name);
      return await guard.end();
    }
    const session = await connect();
    try {
      await endBackend(session, held.backend);
    } finally {
      await session.close();
    }
  };
  return {
    async open(options) {
      const { held, session } = await openOwn(connect, options);
      mine.set(held.name, new Guard(session, held.id));
      return held;
    },
    check: (session, held) => checkHeld(session, held, close),
    close,
  };
}

async function openOwn(
  connect: () => Promise<Session>,
  options: OpenHeldOptions,
): Promise<{ held: HeldSnapshot; session: Session }> {
  const name = newHolderName(options.jobId);
  const session = await connect();
  let finder: Session | undefined;
  try {
    finder = await connect();
    await pinSettings(session);
    await pinSettings(finder);
    await endHoldersOf(finder, options.jobId);
    await session.query("select pg_catalog.set_config('application_name', $1, false)", [
      `${name}/held`,
    ]);
    const { id, takenAt, lsn, locked, unreadable } = await openSnapshot(session, {
      ...options,
      finder,
    });
    const found = await identify(session, session.backendPid);
    if (found === null) {
      throw new BackupError("snapshot_lost", "Cannot find the backup's own server process", {
        hint: "Connect to the server itself, not through a pooler that shares connections.",
      });
    }
    const backend = found.backend;
    return {
      session,
      held: {
        strategy: "session",
        ...{ id, takenAt, lsn, locked: [...locked], unreadable, backend, name },
        yieldAfterMs: options.yieldAfterMs ?? null,
      },
    };
  } catch (error) {
    await session.close();
    throw error;
  } finally {
    await finder?.close();
  }
}

/** Keeps looking at the door on behalf of workers that must pass others; see `snapshot_join.ts`. */
class Guard {
  readonly #session: Session;
  readonly #look: string;
  readonly #looking: Promise<void>;
  #ending = false;

  constructor(session: Session, snapshotId: string) {
    this.#session = session;
    // A statement that ends soon: the server learns only then that this process is gone.
    const door = doorOf(quoteLiteral(snapshotId));
    this.#look = `
      select pg_catalog.pg_sleep(${DOOR_SECONDS}), pg_catalog.pg_advisory_lock_shared(${door}),
             pg_catalog.pg_advisory_unlock_shared(${door})
        from pg_catalog.generate_series(1, 4)`;
    this.#looking = this.#lookOn();
  }

  async #lookOn(): Promise<void> {
    try {
      await this.#session.execute("SAVEPOINT held");
      while (!this.#ending) await this.#lookOnce();
    } catch (error) {
      // The moment is lost with the connection, which is for the check to say.
      if (!(error instanceof BackupError)) throw error;
    }
  }

  async #lookOnce(): Promise<void> {
    try {
      await this.#session.execute(this.#look);
    } catch (error) {
      // A deadlock that has no other way out, or a cancel: locks and snapshot are older than the savepoint.
      if (!(error instanceof DatabaseError)) throw error;
      await this.#session.execute("ROLLBACK TO SAVEPOINT held");
      if (!["40P01", "57014"].includes(error.sqlState)) throw error;
    }
  }

  /** Ends the transaction; on return its locks are free. */
  async end(): Promise<void> {
    this.#ending = true;
    try {
      await this.#session.cancel();
      await this.#looking;
      await this.#session.execute("ROLLBACK");
    } catch (error) {
      // A broken connection has rolled back by itself.
      if (!(error instanceof BackupError)) throw error;
    } finally {
      await this.#session.close();
    }
  }
}
