/**
 * One moment of the database for any number of workers: who holds it, and whether it is still held.
 *
 * A holder is a transaction that has locked the tables, has exported the snapshot and does nothing
 * else. What it holds is described by a plain value, so that workers elsewhere can join, check and end
 * it. The backup counts only what was read while the very same transaction was there.
 *
 * A worker joins (`joinSnapshot`), locks what it reads past everybody who waits (`lockAllJoined` before
 * definitions are read; `copyUnit` does it for its tables), reads, and checks before its result counts.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Session } from "../postgres/session.ts";
import type { DumpOptions } from "./context.ts";
import { describeWaiters, findWaiters, type Waiter } from "./snapshot_waiters.ts";

/** A moment that is held. It survives JSON. */
export interface HeldSnapshot {
  /** `session`: a connection of the process that opened it; `keeper`: a job of pg_cron. */
  strategy: "session" | "keeper";
  /** For SET TRANSACTION SNAPSHOT. Noted once: another transaction would have another moment. */
  id: string;
  /** By the server's clock, ISO 8601 in UTC. */
  takenAt: string;
  lsn: string;
  /** Oids of the locked tables. */
  locked: number[];
  /** Tables of the selection that this role may not read, quoted: they could not be locked. */
  unreadable: string[];
  /** The server process that holds it. */
  backend: HolderIdentity;
  /** What the holder is called in `pg_stat_activity.application_name` and as a job of pg_cron. */
  name: string;
  /** The backup gives way to whoever waits longer than this for its locks; null for never. */
  yieldAfterMs: number | null;
  /** Why it is not held in the way that was meant; belongs into the manifest. */
  remark?: string;
}

/** What tells one transaction of one server process from every other. */
export interface HolderIdentity {
  pid: number;
  /** Start of the server process, to the microsecond in UTC. */
  startedAt: string;
  /** Start of the transaction, to the microsecond in UTC. */
  transactionAt: string;
  /** Virtual transaction id: never used twice while the server runs. */
  transaction: string;
}

/** How a moment is opened. */
export interface OpenHeldOptions {
  /** Job that needs it: what it leaves behind can be found by it. */
  jobId: string;
  /** What is saved: only its tables are locked. */
  dump: DumpOptions;
  /** How long to wait for the lock of one table. @default 60000 */
  lockTimeoutMs?: number;
  /** How often to begin anew when tables come, go or are rewritten in between. @default 5 */
  attempts?: number;
  /** Whoever waits longer than this behind the backup's locks makes it give way. @default null, never */
  yieldAfterMs?: number | null;
  /** A keeper ends itself after this time, because it holds back VACUUM. @default 43200 */
  maxKeeperSeconds?: number;
  /** Why pg_cron holds nothing for this job, when that has been seen: it is not waited for again. */
  withoutKeeper?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Opens, checks and ends moments. */
export interface SnapshotHolder {
  /**
   * Locks the tables, then takes the snapshot, then proves that both speak of the same tables.
   *
   * @throws `lock_timeout`, `concurrent_ddl`, `snapshot_lost` when the holder was ended,
   *   `KeeperMissing` when pg_cron does not start it: open it {@linkcode OpenHeldOptions.withoutKeeper}
   */
  open(options: OpenHeldOptions): Promise<HeldSnapshot>;
  /**
   * Proves over any connection, in a transaction or not, that the moment is still held: the same
   * transaction of the same server process, with all its locks. Ends it when it has to give way.
   *
   * @returns who waits behind it
   * @throws `snapshot_lost`
   */
  check(session: Session, held: HeldSnapshot): Promise<Waiter[]>;
  /** Ends it, from any worker, and waits until the locks are free; nothing happens when it is ended. */
  close(held: HeldSnapshot): Promise<void>;
}

const UTC = (time: string) =>
  `pg_catalog.to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/**
 * What is to be seen of a holder. Locks are always read fresh. Facts of a process may be as old as the
 * reader's transaction, but a process cannot be mistaken: its virtual transaction is read fresh too.
 *
 * Locks are counted, not compared: a transaction that is the same has no others in place of those.
 */
const STATE = `
  select ${UTC("a.backend_start")} as started_at, ${UTC("a.xact_start")} as transaction_at, l.*
    from pg_catalog.pg_stat_get_activity($1) a
   cross join (
     select pg_catalog.max(k.virtualtransaction) filter (where k.granted and k.pid = $1)
              as transaction,
            (pg_catalog.count(*) filter (
               where k.granted and k.pid = $1 and k.mode = 'AccessShareLock'
                 and k.relation >= 16384 and k.database = here.oid))::int as held,
            (pg_catalog.count(*) filter (
               where not k.granted and k.locktype = 'relation' and k.database = here.oid))::int
              as waiting
       from pg_catalog.pg_locks k
      cross join (select d.oid from pg_catalog.pg_database d
                   where d.datname = pg_catalog.current_database()) here) l`;

/** What is to be seen of a server process. */
export interface HolderState {
  backend: HolderIdentity;
  /** Number of tables (and indexes) that it has locked for reading. */
  held: number;
  /** Number of all who wait for a table of this database. */
  waiting: number;
}

/** Who a server process is, with its present transaction; null when there is none. */
export async function identify(session: Session, pid: number): Promise<HolderState | null> {
  const [row] = await session.query(STATE, [pid]);
  if (row === undefined || row.transaction === null) return null;
  const { started_at: startedAt, transaction_at: transactionAt, transaction } = row;
  return {
    backend: { pid, startedAt, transactionAt, transaction },
    held: row.held,
    waiting: row.waiting,
  };
}

/** See {@linkcode SnapshotHolder.check}; `close` is that of the holder. */
export async function checkHeld(
  session: Session,
  held: HeldSnapshot,
  close: (held: HeldSnapshot) => Promise<void>,
): Promise<Waiter[]> {
  const now = await identify(session, held.backend.pid);
  const same = now !== null && now.backend.transaction === held.backend.transaction &&
    now.backend.startedAt === held.backend.startedAt &&
    now.backend.transactionAt === held.backend.transactionAt;
  if (!same) throw lost(held, "the transaction that held it has ended");
  if (now.held < held.locked.length) {
    throw lost(held, `${held.locked.length - now.held} of its locks are gone`);
  }
  if (now.waiting === 0) return [];
  const waiters = await findWaiters(session, held.backend.pid);
  const { yieldAfterMs } = held;
  if (yieldAfterMs === null) return waiters;
  const impatient = waiters.filter((waiter) => waiter.waitedMs >= yieldAfterMs);
  if (impatient.length === 0) return waiters;
  await close(held);
  throw new BackupError(
    "snapshot_lost",
    `Cannot go on with the backup's moment: it gave way to others (${describeWaiters(impatient)})`,
    { hint: "The backup has to begin again; what it has stored is not stored twice." },
  );
}

function lost(held: HeldSnapshot, why: string): BackupError {
  if (held.strategy === "keeper") {
    return new BackupError("snapshot_lost", `Cannot go on with the backup's moment: ${why}`, {
      hint: "The backup has to begin again; what it has stored is not stored twice.",
    });
  }
  const remark = held.remark === undefined ? "" : ` (${held.remark})`;
  const cron = held.remark === undefined
    ? "enable the extension pg_cron, which can hold it in the database"
    : "let pg_cron start jobs, which can hold it in the database";
  return new BackupError(
    "snapshot_lost",
    `Cannot go on with the backup's moment: ${why}${remark}`,
    {
      hint: "It lives as long as the process that began the backup. Where that is too short, " +
        `${cron}, or run the backup from a computer.`,
    },
  );
}

const END = `
  select pg_catalog.pg_terminate_backend(a.pid, 10000) as ended
    from pg_catalog.pg_stat_get_activity($1) a
   where ${UTC("a.backend_start")} = $2 and ${UTC("a.xact_start")} = $3`;

/** Ends the server process that holds the moment, if it is still the same one in the same transaction. */
export async function endBackend(session: Session, backend: HolderIdentity): Promise<void> {
  const [row] = await session.query(END, [
    backend.pid,
    backend.startedAt,
    backend.transactionAt,
  ]);
  if (row !== undefined && row.ended !== true) {
    throw new BackupError("database_error", "Cannot end the holder of the backup's moment", {
      hint: `Run select pg_terminate_backend(${backend.pid}) as its owner or a superuser.`,
    });
  }
}
