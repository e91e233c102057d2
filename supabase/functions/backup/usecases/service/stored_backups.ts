/**
 * Brings the table of backups up to what storage has: storage is the truth.
 *
 * @module
 */
import type { JobOutcome } from "../../core/part.ts";
import type { Settings } from "../../core/settings.ts";
import type { BackupList, BackupRecord, Repository } from "../../repository/mod.ts";
import type { StoredBackup } from "../../state/job_tables.ts";
import type { Deps } from "../deps.ts";
import { momentOf } from "../restore/lost_backups.ts";

/** Adds rows for backups that the table does not know; returns their ids. */
export async function syncBackups(
  deps: Deps,
  repository: Repository,
  list?: BackupList,
): Promise<string[]> {
  const records = (list ?? await repository.listBackups()).backups;
  return await deps.state.jobs.addFromStorage(
    records.map((record) => toStored(record, repository.location)),
  );
}

/** All complete backups, newest first, straight from storage. */
export async function readStoredBackups(deps: Deps, settings: Settings): Promise<StoredBackup[]> {
  const repository = await deps.openRepository(settings);
  return toStoredList(await repository.listBackups(), repository.location);
}

/** A listing as rows of the table, newest first. */
export function toStoredList(list: BackupList, location: string): StoredBackup[] {
  return list.backups
    .map((record) => toStored(record, location))
    .sort((a, b) => (momentOf(a.backupId) < momentOf(b.backupId) ? 1 : -1));
}

/** A record as a row of the table. */
export function toStored(record: BackupRecord, location: string): StoredBackup {
  return {
    backupId: record.backupId,
    type: record.type,
    createdAt: record.createdAt,
    completedAt: record.completedAt,
    reason: record.reason,
    rawBytes: record.totals.rawBytes,
    newStoredBytes: record.totals.newStoredBytes,
    tables: record.type === "database" ? record.totals.tables : null,
    checksum: record.manifest,
    location,
    result: summaryOf(record),
  };
}

/** A backup's record as what its job gives back. */
export function outcomeOf(record: BackupRecord, location: string): JobOutcome {
  const { rawBytes, checksum, result } = toStored(record, location);
  return { sizeBytes: rawBytes, checksum, location, result };
}

/** What a finished backup's record says in an answer. */
export function summaryOf(record: BackupRecord): Record<string, unknown> {
  return {
    backupId: record.backupId,
    createdAt: record.createdAt,
    completedAt: record.completedAt,
    reason: record.reason,
    origin: record.origin,
    totals: record.totals,
    ...(record.type === "database"
      ? { consistency: record.consistency }
      : { partial: record.partial, remarks: record.remarks }),
    source: record.source,
    writtenBy: record.writtenBy,
  };
}
