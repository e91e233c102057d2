/**
 * The sessions of one worker of a restore: they carry the job's name, by which the server's work for it
 * is found, and are used again for the next part.
 *
 * @module
 */
import { pinSettings } from "../../postgres/pinned_settings.ts";
import { quoteLiteral } from "../../postgres/quote.ts";
import type { Session } from "../../postgres/session.ts";
import { nameOfWork, prepareSession, type TargetFacts } from "../../restore/mod.ts";
import { useBulkSettings } from "../backup/bulk_settings.ts";

/** What {@linkcode RestoreSessions} works with. */
export interface RestoreSessionsOptions {
  jobId: string;
  connect: () => Promise<Session>;
  request: { jobs?: number; lockTimeoutMs?: number };
}

/** See the module. */
export class RestoreSessions {
  readonly #options: RestoreSessionsOptions;
  readonly #free: Session[] = [];

  constructor(options: RestoreSessionsOptions) {
    this.#options = options;
  }

  /** Lends a session; one whose work failed is closed, which rolls back. */
  async lend<T>(
    { target, signal }: { target: Pick<TargetFacts, "role">; signal: AbortSignal },
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const session = this.#free.pop() ?? await this.openPrepared(target);
    // When that fails the work goes on to its end, and the one that waits for it hears of that.
    const cancel = () => void session.cancel().catch(() => {});
    signal.addEventListener("abort", cancel, { once: true });
    try {
      const result = await work(session);
      if (!signal.aborted) {
        this.#free.push(session);
        return result;
      }
      await session.close(); // the cancel may be on its way
      return result;
    } catch (error) {
      await session.close();
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  /** One with the settings of a restore, to be closed by the caller. */
  async openPrepared(target: Pick<TargetFacts, "role">): Promise<Session> {
    const session = await this.open();
    try {
      const { request } = this.#options;
      await prepareSession(session, target, request);
      await useBulkSettings(session, request.jobs ?? 2);
      // The job's parts may be recorded elsewhere: what they call done must not be lost in a crash.
      await session.execute("RESET synchronous_commit");
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** One to look at the target with, to be closed by the caller. */
  async open(): Promise<Session> {
    const { connect, jobId, request } = this.#options;
    const session = await connect();
    try {
      await pinSettings(session);
      const name = quoteLiteral(nameOfWork(jobId));
      const lockTimeoutMs = Math.max(1, Math.trunc(request.lockTimeoutMs ?? 60_000));
      await session.execute(`SET application_name = ${name}; SET lock_timeout = ${lockTimeoutMs}`);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** Closes those that are free. */
  async close(): Promise<void> {
    await Promise.all(this.#free.splice(0).map((session) => session.close()));
  }
}
