/**
 * Brings the table of backups up to what storage has: storage is the truth.
 *
 * @module
 */
import type { JobOutcome } from "../../core/part.ts";
import type { BackupList, BackupRecord, Repository } from "../../repository/mod.ts";
import type { StoredBackup } from "../../state/job_tables.ts";
import type { Deps } from "../deps.ts";
import { momentOf } from "../restore/lost_backups.ts";
import { noteUnreadable, recordsToRead, type UnreadableRecord } from "./unreadable_records.ts";

/** Records that are read in one go: a third of a second of a worker's CPU. */
const MOST_ADDED = 250;

/** What came of bringing the table up. */
export interface SyncedRows {
  /** Ids of those that have rows now and had none. */
  added: string[];
  /** How many have none yet: the next go is theirs. */
  left: number;
  /** Those of this go that cannot be read; others are not kept waiting by them. */
  unreadable: UnreadableRecord[];
}

/** Adds rows for backups that the table does not know, the newest first, some hundred at most. */
export async function syncBackups(deps: Deps, repository: Repository): Promise<SyncedRows> {
  const unknown = await deps.state.jobs.unknown(await repository.backupIds());
  const { ids, left } = await recordsToRead(deps, unknown, MOST_ADDED);
  const { backups, damaged } = await repository.listBackups({ ids });
  const added = await deps.state.jobs.addFromStorage(
    backups.map((record) => toStored(record, repository.location)),
  );
  const unreadable = damaged.map(({ backupId: id, code }) => ({ id, code }));
  await noteUnreadable(deps, unreadable, repository);
  return { added, left, unreadable };
}

/** Backups of these ids straight from storage, as far as they are there and whole. */
export async function readStoredBackups(
  deps: Deps,
  choose: (ids: string[]) => string[],
): Promise<StoredBackup[]> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const ids = choose(await repository.backupIds());
  return toStoredList(await repository.listBackups({ ids }), repository.location);
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
