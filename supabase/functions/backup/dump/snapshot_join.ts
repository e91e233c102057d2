/**
 * Other connections at the moment of a backup, and their way past those who queue for its tables.
 *
 * Somebody who wants a table for themselves waits behind the backup's lock, and whoever comes later
 * waits behind them: also a worker that only wants to read, although the backup holds the table. Such
 * a worker takes the *door*, an advisory lock on which the holder of the snapshot waits for a moment
 * again and again. Then holder waits for worker, worker for the queue, and the queue for the holder:
 * a deadlock that the server solves without harm by letting the worker go ahead in the queue.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";

/** Space of our own among the advisory locks of two numbers. */
const DOORS = 1_935_832_931;

/** Tables to one LOCK TABLE. */
const BATCH = 100;

/** How long the holder waits between two looks at its door. */
export const DOOR_SECONDS = 0.25;

/** The arguments of the advisory lock that is the door of the holder with this name. */
export function doorOf(name: string): string {
  return `${DOORS}, ${hash32(name) | 0}`;
}

/** FNV-1a, 32 bits: the same everywhere, for names that need not resist anybody. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}

/**
 * Makes a session see the moment of an exported snapshot; its transaction stays open until it is ended.
 *
 * @throws `snapshot_lost` when nobody holds it any more
 */
export async function joinSnapshot(session: Session, id: string): Promise<void> {
  try {
    // Parallel plans give rows in another order on each run; sorting and JIT have nothing to do here.
    await session.execute(
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; " +
        `SET TRANSACTION SNAPSHOT ${quoteLiteral(id)}; ` +
        "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; " +
        "SET LOCAL enable_tidscan = on; SET LOCAL lock_timeout = '10s'",
    );
  } catch (error) {
    await rollBack(session);
    // No file of that name (the code differs by version), or its owner is gone.
    if (
      !(error instanceof DatabaseError) || !["22023", "42704", "55000"].includes(error.sqlState)
    ) {
      throw error;
    }
    throw new BackupError(
      "snapshot_lost",
      "Cannot join the moment of the backup: nobody holds it",
      {
        hint: "The backup has to begin again; what it has stored is not stored twice.",
        cause: error,
      },
    );
  }
}

/** What {@linkcode lockJoined} locks. */
export interface LockJoinedOptions {
  /** Name of the holder: `HeldSnapshot.name`. */
  name: string;
  /** Quoted names of tables that the holder has locked. */
  tables: readonly string[];
}

/**
 * Locks tables for reading in a session that has joined, past everybody who waits for them. The locks
 * last to the end of the transaction, or of the savepoint around the call.
 *
 * @throws `lock_timeout` when somebody holds a table for themselves: then the holder does not hold it
 */
export async function lockJoined(session: Session, options: LockJoinedOptions): Promise<void> {
  for (let at = 0; at < options.tables.length; at += BATCH) {
    const names = options.tables.slice(at, at + BATCH).map((table) => `ONLY ${table}`).join(", ");
    const lock = `LOCK TABLE ${names} IN ACCESS SHARE MODE`;
    try {
      await session.execute(`SAVEPOINT locking; ${lock} NOWAIT; RELEASE SAVEPOINT locking`);
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.sqlState !== "55P03") throw error;
      await session.execute("ROLLBACK TO SAVEPOINT locking; RELEASE SAVEPOINT locking");
      await passThrough(session, { door: doorOf(options.name), lock });
    }
  }
}

/** Takes a lock while the holder waits at its door, so that the server lets this session go ahead. */
async function passThrough(
  session: Session,
  { door, lock }: { door: string; lock: string },
): Promise<void> {
  const [before] = await session.query(`
    select pg_catalog.current_setting('lock_timeout') as lock_timeout,
           (select setting::int from pg_catalog.pg_settings where name = 'deadlock_timeout') as ms`);
  const patience = Number(before?.ms ?? 1000) * 2 + 10_000;
  await session.execute(`SAVEPOINT locking; SET LOCAL lock_timeout = ${patience}`);
  let locked = false;
  try {
    await session.query(`select pg_catalog.pg_advisory_lock(${door})`);
    locked = true;
    await session.execute(lock);
    await session.execute(
      `SET LOCAL lock_timeout = ${quoteLiteral(before?.lock_timeout ?? "0")}; ` +
        "RELEASE SAVEPOINT locking",
    );
  } catch (error) {
    await session.execute("ROLLBACK TO SAVEPOINT locking; RELEASE SAVEPOINT locking");
    throw blocked(error);
  } finally {
    // A lock of the session, not of the transaction: it does not end by itself.
    if (locked) await session.query(`select pg_catalog.pg_advisory_unlock(${door})`);
  }
}

function blocked(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || error.sqlState !== "55P03") return error;
  return new BackupError(
    "lock_timeout",
    "Cannot read tables of the backup: another transaction holds one of them for itself",
    { hint: "Look for the transaction in pg_stat_activity.", cause: error },
  );
}

async function rollBack(session: Session): Promise<void> {
  try {
    await session.execute("ROLLBACK");
  } catch (error) {
    // A broken connection has rolled back by itself.
    if (!(error instanceof BackupError)) throw error;
  }
}
