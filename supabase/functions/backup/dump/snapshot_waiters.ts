/**
 * Who waits behind the locks of a backup: migrations wait as they do behind pg_dump, and are shown.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";

/** Somebody who wants a table of the backup for themselves. */
export interface Waiter {
  pid: number;
  role: string;
  applicationName: string;
  /** Quoted name. */
  table: string;
  /** Mode of the lock, such as `AccessExclusiveLock`. */
  mode: string;
  waitedMs: number;
}

/** Locks first, because asking who blocks whom stops all locking for an instant. */
const WAITERS = `
  with waiting as materialized (
    select k.pid, k.relation, k.mode, k.waitstart
      from pg_catalog.pg_locks k
     where not k.granted and k.locktype = 'relation'
       and k.database = (select d.oid from pg_catalog.pg_database d
                          where d.datname = pg_catalog.current_database()))
  select w.pid, w.mode, r.rolname as role, a.application_name,
         pg_catalog.format('%I.%I', n.nspname, c.relname) as "table",
         greatest(0, extract(epoch from pg_catalog.clock_timestamp() - w.waitstart) * 1000)::float8
           as waited_ms
    from waiting w
    join pg_catalog.pg_class c on c.oid = w.relation
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_stat_get_activity(null) a on a.pid = w.pid
    left join pg_catalog.pg_roles r on r.oid = a.usesysid
   where $1 = any (pg_catalog.pg_blocking_pids(w.pid))
   order by waited_ms desc, w.pid`;

/** Those who wait for the server process that holds a moment, the longest waiting first. */
export async function findWaiters(session: Session, pid: number): Promise<Waiter[]> {
  const rows = await session.query(WAITERS, [pid]);
  return rows.map((row) => ({
    pid: row.pid,
    role: row.role ?? "",
    applicationName: row.application_name ?? "",
    table: row.table,
    mode: row.mode,
    waitedMs: Math.round(Number(row.waited_ms ?? 0)),
  }));
}

/** What a backup says of those who waited, once it is made. */
export function waiterRemarks(waiters: readonly Waiter[]): string[] {
  return waiters.map(({ role, table }) =>
    `${table}: a transaction of role ${role} had to wait for the backup's lock`
  );
}

/** One line about waiters for progress and errors; null when nobody waits. */
export function describeWaiters(waiters: readonly Waiter[]): string | null {
  const [first] = waiters;
  if (first === undefined) return null;
  const others = waiters.length === 1 ? "" : `, and ${waiters.length - 1} more`;
  const seconds = Math.round(first.waitedMs / 1000);
  return `process ${first.pid} of role ${first.role} has waited ${seconds} s for ${first.table}${others}`;
}
