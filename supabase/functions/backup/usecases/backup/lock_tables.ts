/**
 * The locks of a restore over a live database.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Session } from "../../postgres/session.ts";
import type { RestorePlan } from "../../restore/mod.ts";

/**
 * Locks the tables that a plan replaces, so that nobody writes to them any more.
 *
 * @throws {BackupError} `lock_timeout` naming the table that somebody holds
 */
export async function lockTables(session: Session, plan: RestorePlan): Promise<void> {
  for (let at = 0; at < plan.lock.length; at += 100) {
    const names = plan.lock.slice(at, at + 100);
    await session.execute("SAVEPOINT lock_tables");
    try {
      await session.execute(`LOCK TABLE ${names.join(", ")} IN EXCLUSIVE MODE`);
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== "lock_timeout") throw error;
      await session.execute("ROLLBACK TO SAVEPOINT lock_tables");
      // The server does not say which one it waited for.
      for (const name of names) await lockAtOnce(session, name, plan);
    }
  }
}

async function lockAtOnce(session: Session, name: string, plan: RestorePlan): Promise<void> {
  try {
    await session.execute(`LOCK TABLE ${name} IN EXCLUSIVE MODE NOWAIT`);
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== "lock_timeout") throw error;
    throw new BackupError(
      "lock_timeout",
      `Cannot restore ${plan.backupId}: the lock of table ${name} was not granted in time`,
      {
        hint: "Nothing was changed. Look in pg_stat_activity for the transaction that holds the " +
          "table, end it, and restore again; or wait longer for locks.",
        cause: error,
      },
    );
  }
}
