/**
 * How sessions of a restore into an empty database hurry: nothing there can be lost, because a restore
 * that is cut short is begun again.
 *
 * @module
 */
import type { Session } from "../../postgres/session.ts";

/** More than this for one index build gains nothing. */
const MOST_KB = 1024 * 1024;

/**
 * Commits do not wait for the disk, and index builds may use the memory that the server's own cache shows
 * there is: three quarters of `shared_buffers` for all jobs together, never less than the server's setting.
 */
export async function useBulkSettings(session: Session, jobs: number): Promise<void> {
  await session.execute(`
    SET synchronous_commit = off;
    SELECT pg_catalog.set_config('maintenance_work_mem', greatest(own.setting::pg_catalog.int8, least(
             ${MOST_KB}, shared.setting::pg_catalog.int8 * 6 / ${jobs}))::pg_catalog.text || 'kB', false)
      FROM pg_catalog.pg_settings own, pg_catalog.pg_settings shared
     WHERE own.name = 'maintenance_work_mem' AND shared.name = 'shared_buffers'`);
}

/** Waits until everything that was committed before, by whichever session, is on disk. */
export async function waitForDisk(session: Session): Promise<void> {
  // A commit waits for the log up to itself, when it has written something.
  await session.execute(
    "RESET synchronous_commit; " +
      "SELECT pg_catalog.pg_logical_emit_message(true, 'supabase-backup', 'restored')",
  );
}
