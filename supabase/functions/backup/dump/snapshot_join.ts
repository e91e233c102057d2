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

/** Where a session that has joined remembers the snapshot; ends with its transaction. */
const JOINED = "supabase_backup.snapshot";

/** Tables to one LOCK TABLE. */
const BATCH = 100;

/** How long workers may queue at a door. */
const DOOR_MS = 60_000;

/**
 * How long a session that has its tables waits for what else it needs, such as an index that is built anew.
 * Not for ever: who has it may wait for one of the tables.
 */
const PATIENCE = "SET LOCAL lock_timeout = '10min'";

/** How long the holder waits between two looks at its door. */
export const DOOR_SECONDS = 0.25;

/** The arguments of the advisory lock that is the door of a snapshot, given as SQL. */
export function doorOf(snapshotSql: string): string {
  return `${DOORS}, pg_catalog.hashtext(${snapshotSql})`;
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
        "SET LOCAL enable_tidscan = on; SET LOCAL lock_timeout = '30s'; " +
        `SET LOCAL ${JOINED} = ${quoteLiteral(id)}`,
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

/**
 * Locks tables for reading in a session that has joined, past everybody who waits for them. The locks
 * last to the end of the transaction, or of the savepoint around the call.
 *
 * @param tables quoted names of tables that the holder has locked
 * @throws `lock_timeout` when somebody has a table for themselves, or nobody is at the door
 */
export async function lockJoined(session: Session, tables: readonly string[]): Promise<void> {
  for (const lock of lockStatements(tables)) {
    if (!await lockNow(session, lock)) await passThrough(session, lock);
  }
}

/** Locks them if nobody stands in the way; otherwise false, and some of them may be locked. */
export async function tryLockJoined(
  session: Session,
  tables: readonly string[],
): Promise<boolean> {
  for (const lock of lockStatements(tables)) {
    if (!await lockNow(session, lock)) return false;
  }
  return true;
}

function lockStatements(tables: readonly string[]): string[] {
  const statements: string[] = [];
  for (let at = 0; at < tables.length; at += BATCH) {
    const names = tables.slice(at, at + BATCH).map((table) => `ONLY ${table}`).join(", ");
    statements.push(`LOCK TABLE ${names} IN ACCESS SHARE MODE`);
  }
  return statements;
}

async function lockNow(session: Session, lock: string): Promise<boolean> {
  try {
    await session.execute(
      `SAVEPOINT locking; ${lock} NOWAIT; RELEASE SAVEPOINT locking; ${PATIENCE}`,
    );
    return true;
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== "55P03") throw error;
    await session.execute("ROLLBACK TO SAVEPOINT locking; RELEASE SAVEPOINT locking");
    return false;
  }
}

/**
 * Locks the tables of a moment in a session that has joined it: reading definitions makes the server
 * look at tables that nobody names beforehand. Of very many tables, whose locks the server might have
 * no room for twice, only those are locked for which somebody waits now.
 *
 * @throws as {@linkcode lockJoined}
 */
export async function lockAllJoined(session: Session, held: { locked: number[] }): Promise<void> {
  const rows = await session.query(
    `select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.oid = any ($1::oid[])
        and ($2 * 4 < (select pg_catalog.current_setting('max_locks_per_transaction')::int
                            * pg_catalog.current_setting('max_connections')::int)
             or c.oid in (select k.relation from pg_catalog.pg_locks k
                           where k.locktype = 'relation' and not k.granted))`,
    [`{${held.locked.join(",")}}`, held.locked.length],
  );
  await lockJoined(session, rows.map((row) => row.name));
}

/** Takes a lock while the holder waits at its door, so that the server lets this session go ahead. */
async function passThrough(session: Session, lock: string): Promise<void> {
  const [settings] = await session.query(`
    select s.setting::int as deadlock_ms from pg_catalog.pg_settings s
     where s.name = 'deadlock_timeout'`);
  const door = doorOf(`pg_catalog.current_setting('${JOINED}')`);
  const patience = Number(settings?.deadlock_ms ?? 1000) * 2 + 5000;
  let atDoor = false;
  await session.execute(`SAVEPOINT locking; SET LOCAL lock_timeout = ${DOOR_MS}`);
  try {
    await session.query(`select pg_catalog.pg_advisory_lock(${door})`);
    atDoor = true;
    await session.execute(
      `SET LOCAL lock_timeout = ${patience}; ${lock}; ` +
        `RELEASE SAVEPOINT locking; ${PATIENCE}`,
    );
  } catch (error) {
    await session.execute("ROLLBACK TO SAVEPOINT locking; RELEASE SAVEPOINT locking");
    throw blocked(error);
  } finally {
    // A lock of the session, not of the transaction: it does not end by itself.
    if (atDoor) await session.query(`select pg_catalog.pg_advisory_unlock(${door})`);
  }
}

function blocked(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || error.sqlState !== "55P03") return error;
  return new BackupError(
    "lock_timeout",
    "Cannot read tables of the backup: others stand before it in the queue for their locks",
    { hint: "Look in pg_locks for who waits for them.", cause: error },
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
