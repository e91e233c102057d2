/**
 * A database of its own, with any number of connections, for tests of the moment of a backup.
 *
 * @module
 */
import type { PostgresMajor } from "../../scripts/embedded_postgres.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { temporaryDatabase } from "./temporary_database.ts";

/** A database that a test may change as it likes. */
export interface SnapshotDatabase {
  url: string;
  /** A connection that is closed with the database. */
  open: () => Promise<Session>;
}

/** Makes a database, lets the test work, and takes it away again. */
export async function withDatabase(
  major: PostgresMajor,
  work: (database: SnapshotDatabase) => Promise<void>,
): Promise<void> {
  await using database = await temporaryDatabase("g_snapshot", { major });
  const { url } = database;
  const sessions: Session[] = [];
  const open = async () => {
    const session = await connect({ url });
    sessions.push(session);
    return session;
  };
  try {
    await work({ url, open });
  } finally {
    for (const session of sessions) await session.close();
  }
}

/** Waits until the server itself says that this process waits for a lock. */
export async function untilWaiting(observer: Session, pid: number): Promise<void> {
  for (;;) {
    const [row] = await observer.query(
      "select count(*)::int as waiting from pg_catalog.pg_locks where not granted and pid = $1",
      [pid],
    );
    if (row?.waiting > 0) return;
  }
}
