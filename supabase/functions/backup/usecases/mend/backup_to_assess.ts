/**
 * Chooses the backup that a database is assessed by, and restored from if it needs that.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { typeOfJobId } from "../../core/ids.ts";
import type { RestoreTrace } from "../../postgres/restore_traces.ts";
import type { DatabaseRecord, Repository } from "../../repository/mod.ts";

/** Backups whose records are read at a time. */
const READ_AT_ONCE = 10;

/** What is chosen by. */
export interface ChosenBy {
  /** An id, or `latest`. */
  wanted: string;
  /** Of the restore that is not complete in the database. */
  trace: Pick<RestoreTrace, "backupId"> | null;
  signal?: AbortSignal;
}

/**
 * A half restored database is completed from the backup that it is being restored from. Backups that were made
 * of a half restored database are the latest only where there is no other: they lack what it lacked.
 *
 * @throws `backup_not_found`, the `object_*` and `storage_*` codes
 */
export async function backupToAssess(
  repository: Pick<Repository, "readBackup" | "backupIds" | "listBackups">,
  { wanted, trace, ...how }: ChosenBy,
): Promise<DatabaseRecord> {
  if (wanted !== "latest") return (await repository.readBackup(wanted)).record;
  if (trace !== null) {
    const own = await unlessGone(async () => (await repository.readBackup(trace.backupId)).record);
    if (own !== null) return own;
  }
  const { record: latest } = await repository.readBackup("latest");
  const isWhole = (record: DatabaseRecord) => record.consistency.unfinishedRestore === undefined;
  if (isWhole(latest)) return latest;
  const ids = (await repository.backupIds(how)).filter((id) =>
    typeOfJobId(id) === "database" && !id.startsWith("safety_")
  );
  for (let at = 0; at < ids.length; at += READ_AT_ONCE) {
    const { backups } = await repository.listBackups({
      ...{ ids: ids.slice(at, at + READ_AT_ONCE), ...how },
    });
    const found = backups.find((each) => each.type === "database" && isWhole(each));
    if (found !== undefined) return found as DatabaseRecord;
  }
  return latest;
}

async function unlessGone<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== "backup_not_found") throw error;
    return null;
  }
}
