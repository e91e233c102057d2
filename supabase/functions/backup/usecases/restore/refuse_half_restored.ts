/**
 * Guards restores of the latest backup: it may have been made while a restore was not complete.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { BackupRecord } from "../../repository/mod.ts";

/**
 * Nobody asks for half a database by asking for the latest backup.
 *
 * @throws `restore_refused`
 */
export function refuseHalfRestored(record: BackupRecord): void {
  const half = record.type === "database" ? record.consistency.unfinishedRestore : undefined;
  if (half === undefined) return;
  const { backupId } = record;
  throw new BackupError(
    "restore_refused",
    `Cannot restore the latest backup: ${backupId} was made while restore ${half.jobId} of ${half.backupId} ` +
      "was not complete, so that it holds half a database",
    {
      hint: `Nothing was changed. Restore ${half.backupId} by its id, or ${backupId} by its own.`,
      details: { latest: backupId, ...half },
    },
  );
}
