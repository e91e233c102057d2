/**
 * A database of its own for tests of the moment of a backup.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";

/** A database that a test may change as it likes. */
export interface SnapshotDatabase {
  url: string;
  /** A connection that is closed with the database. */
  open: () => Promise<Session>;
}

/** Makes a database, lets the test work, and takes it away again. */
export async function withDatabase(
  server: { url: (database?: string) => string },
  work: (database: SnapshotDatabase) => Promise<void>,
): Promise<void> {
  const name = `g_snapshot_${crypto.randomUUID().slice(0, 8)}`;
  const url = server.url(name);
  const sessions: Session[] = [];
  const admin = await connect({ url: server.url() });
  await admin.execute(`CREATE DATABASE "${name}"`);
  try {
    await work({
      url,
      open: async () => {
        const session = await connect({ url });
        sessions.push(session);
        return session;
      },
    });
  } finally {
    for (const session of sessions) await session.close();
    await admin.execute(`DROP DATABASE "${name}" WITH (FORCE)`);
    await admin.close();
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
