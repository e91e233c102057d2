/**
 * Connections that have joined a backup's moment: opened when they are needed, kept for the next part.
 *
 * @module
 */
import { type HeldSnapshot, joinSnapshot } from "../../dump/mod.ts";
import { pinSettings, refuseViewsOfUsers } from "../../postgres/pinned_settings.ts";
import type { Session } from "../../postgres/session.ts";

/** The connections of one worker. */
export class JoinedSessions {
  readonly #open: () => Promise<Session>;
  readonly #free: { session: Session; heldId: string }[] = [];

  /** @param open opens a connection to the database that is saved */
  constructor(open: () => Promise<Session>) {
    this.#open = open;
  }

  /** A connection outside of the moment, with the pinned settings. */
  async connect(): Promise<Session> {
    const session = await this.#open();
    try {
      await pinSettings(session);
      await refuseViewsOfUsers(session);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** Works in one that has joined; it is kept if all went well. */
  async with<T>(
    held: HeldSnapshot,
    work: (session: Session) => Promise<T>,
    { signal }: { signal: AbortSignal },
  ): Promise<T> {
    const session = await this.take(held, { signal });
    let isFree = false;
    try {
      const result = await cancelling(session, signal, work);
      isFree = !signal.aborted;
      return result;
    } finally {
      if (isFree) this.#free.push({ session, heldId: held.id });
      else await session.close();
    }
  }

  /** One that has joined, for the caller to close. */
  async take(held: HeldSnapshot, { signal }: { signal: AbortSignal }): Promise<Session> {
    signal.throwIfAborted();
    const index = this.#free.findIndex(({ heldId }) => heldId === held.id);
    if (index >= 0) return this.#free.splice(index, 1)[0]!.session;
    const session = await this.connect();
    try {
      await cancelling(session, signal, (joining) => joinSnapshot(joining, held.id));
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** Closes those that are free. */
  async close(): Promise<void> {
    await Promise.all(this.#free.splice(0).map(({ session }) => session.close()));
  }
}

/** Works in a session. The server may have nothing to say for long: it is told of an abort. */
export async function cancelling<T>(
  session: Session,
  signal: AbortSignal,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const cancel = () => void session.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  try {
    return await work(session);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
