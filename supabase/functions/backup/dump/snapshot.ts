/**
 * One moment for a whole backup: locks first, then the exported snapshot, then the proof that both
 * speak of the same tables.
 *
 * A snapshot alone is not enough: a table that is rewritten or emptied by DDL after the snapshot shows
 * fewer rows in it, without an error. LOCK TABLE takes no snapshot, so the locks come first in the same
 * transaction; a snapshot taken afterwards sees every change that the locks had to wait for.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import type { Session } from "../postgres/session.ts";
import type { DumpOptions } from "./context.ts";
import { findDifference, findTables, type FoundTable } from "./snapshot_tables.ts";

/** How a snapshot is opened. */
export interface OpenSnapshotOptions {
  /** Another session, outside of a transaction: finds the tables. */
  finder: Session;
  /** What is saved: only its tables are locked. */
  dump: DumpOptions;
  /** How long to wait for the lock of one table. @default 60000 */
  lockTimeoutMs?: number;
  /** How often to begin anew when tables come, go or are rewritten in between. @default 5 */
  attempts?: number;
  signal?: AbortSignal | undefined;
}

/** A moment that is held by a session's open transaction. */
export interface OpenSnapshot {
  /** For SET TRANSACTION SNAPSHOT in other sessions. */
  id: string;
  /** By the server's clock, ISO 8601 in UTC. */
  takenAt: string;
  lsn: string;
  /** Oids of the locked tables. */
  locked: ReadonlySet<number>;
  /** Tables of the selection that this role may not read, quoted: they could not be locked. */
  unreadable: string[];
}

const MOMENT = `
  select pg_catalog.pg_export_snapshot() as id,
         pg_catalog.to_char(pg_catalog.clock_timestamp() at time zone 'UTC',
                            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as taken_at,
         (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
               else pg_catalog.pg_current_wal_lsn() end)::text as lsn`;

/** Tables to one LOCK TABLE. */
const BATCH = 100;

/**
 * Locks every table of the selection and takes the snapshot. On return the coordinator is inside a
 * read-only transaction that holds both until it ends.
 *
 * @throws `lock_timeout` naming the table, `concurrent_ddl` when the tables did not hold still
 */
export async function openSnapshot(
  coordinator: Session,
  options: OpenSnapshotOptions,
): Promise<OpenSnapshot> {
  const attempts = options.attempts ?? 5;
  let reason = "";
  for (let attempt = 0; attempt < attempts; attempt++) {
    options.signal?.throwIfAborted();
    const wanted = await findTables(options.finder, options.dump);
    const readable = wanted.filter((table) => table.readable);
    await begin(coordinator);
    try {
      const missing = await lockTables(coordinator, readable, options);
      if (missing === null) {
        const [moment] = await coordinator.query(MOMENT);
        const seen = await findTables(coordinator, options.dump);
        const difference = await findDifference(coordinator, {
          seen,
          holder: coordinator.backendPid,
        });
        if (moment !== undefined && difference === null) {
          return {
            id: moment.id,
            takenAt: moment.taken_at,
            lsn: moment.lsn,
            locked: new Set(seen.filter((table) => table.readable).map((table) => table.oid)),
            unreadable: seen.filter((table) => !table.readable).map((table) => table.sqlName),
          };
        }
        reason = difference ?? "the server gave no snapshot";
      } else {
        reason = missing;
      }
    } catch (error) {
      await leave(coordinator);
      throw error;
    }
    await coordinator.execute("ROLLBACK");
  }
  throw moved(reason, attempts);
}

/** The error for tables that did not hold still. */
export function moved(reason: string, attempts: number): BackupError {
  return new BackupError(
    "concurrent_ddl",
    `Cannot take one moment of the database: ${reason}, ${attempts} times in a row`,
    { hint: "Run the backup when no migration, VACUUM FULL or CLUSTER is running." },
  );
}

async function begin(session: Session): Promise<void> {
  await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

/** Ends a transaction on the way out of a failure, which is what the caller is told about. */
async function leave(session: Session): Promise<void> {
  try {
    await session.execute("ROLLBACK");
  } catch (error) {
    // A broken connection has rolled back by itself.
    if (!(error instanceof BackupError)) throw error;
  }
}

/** Locks all tables; returns what is gone, in words, or null. */
async function lockTables(
  session: Session,
  tables: readonly FoundTable[],
  options: OpenSnapshotOptions,
): Promise<string | null> {
  const timeoutMs = options.lockTimeoutMs ?? 60_000;
  await session.execute(`SET LOCAL lock_timeout = ${Math.max(1, Math.trunc(timeoutMs))}`);
  for (let at = 0; at < tables.length; at += BATCH) {
    options.signal?.throwIfAborted();
    const batch = tables.slice(at, at + BATCH);
    try {
      const lock = lockStatement(batch, "NOWAIT");
      await session.execute(`SAVEPOINT locking; ${lock}; RELEASE SAVEPOINT locking`);
      continue;
    } catch (error) {
      if (stateOf(error) !== "55P03" && !isGone(error)) throw explainLock(error, null, timeoutMs);
    }
    // Somebody stands in the way: one by one, so that the one who waits too long has a name.
    await session.execute("ROLLBACK TO SAVEPOINT locking; RELEASE SAVEPOINT locking");
    for (const table of batch) {
      options.signal?.throwIfAborted();
      try {
        await session.execute(lockStatement([table], ""));
      } catch (error) {
        if (isGone(error)) return `${table.sqlName} was dropped or renamed`;
        throw explainLock(error, table.sqlName, timeoutMs);
      }
    }
  }
  await session.execute("SET LOCAL lock_timeout = 0");
  return null;
}

function lockStatement(tables: readonly FoundTable[], wait: "NOWAIT" | ""): string {
  const list = tables.map((table) => `ONLY ${table.sqlName}`).join(", ");
  return `LOCK TABLE ${list} IN ACCESS SHARE MODE ${wait}`;
}

function stateOf(error: unknown): string {
  return error instanceof DatabaseError ? error.sqlState : "";
}

function isGone(error: unknown): boolean {
  // Undefined table or schema, or a name that is now something that cannot be locked.
  return ["42P01", "3F000", "42809"].includes(stateOf(error));
}

function explainLock(error: unknown, table: string | null, timeoutMs: number): unknown {
  return lockError(stateOf(error), { table, timeoutMs, cause: error }) ?? error;
}

/** The error for a table that could not be locked, or null for an SQLSTATE that says nothing of locks. */
export function lockError(
  sqlState: string,
  { table, timeoutMs, cause }: { table: string | null; timeoutMs: number; cause?: unknown },
): BackupError | null {
  if (sqlState === "55P03") {
    const name = table ?? "the tables";
    return new BackupError(
      "lock_timeout",
      `Cannot lock ${name}: another transaction holds it for more than ${timeoutMs} ms`,
      {
        hint: "Look for the transaction in pg_stat_activity, or raise the lock timeout.",
        details: { table },
        cause,
      },
    );
  }
  if (sqlState === "53200") {
    return new BackupError(
      "database_error",
      "Cannot lock the tables: the server has no room for so many locks",
      { hint: "Raise max_locks_per_transaction, or save fewer schemas at a time.", cause },
    );
  }
  return null;
}
