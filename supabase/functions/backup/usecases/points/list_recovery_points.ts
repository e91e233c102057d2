/**
 * What can be recovered and to which times, straight from storage.
 *
 * @module
 */
import type { BackupRecord, RecoveryPoint } from "../../repository/mod.ts";
import type { Deps } from "../deps.ts";
import { presentPoints } from "./present_point.ts";

/** A backup by the times that it shows. */
export interface RecoverableBackup {
  backupId: string;
  type: BackupRecord["type"];
  from: string;
  to: string;
  partial: boolean;
  origin: BackupRecord["origin"];
}

/** See the module. */
export interface RecoveryPointList {
  points: RecoveryPoint[];
  backups: RecoverableBackup[];
  /** Records that cannot be read. */
  damaged: { id: string; code: string; message: string }[];
}

/**
 * Points and backups that show a time within [from, to], newest first, at most `limit` of each.
 *
 * @throws `repository_missing`, `key_*`, `storage_*`
 */
export async function listRecoveryPoints(
  deps: Deps,
  { from, to, limit }: { from: string | null; to: string | null; limit: number },
): Promise<RecoveryPointList> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const [points, backups] = [await repository.listPoints(), await repository.listBackups()];
  const [first, last] = [
    from === null ? -Infinity : Date.parse(from),
    to === null ? Infinity : Date.parse(to),
  ];
  const isWithin = (begin: string, end: string) =>
    Date.parse(end) >= first && Date.parse(begin) <= last;
  return {
    points: await presentPoints(
      repository,
      points.points
        .filter(({ createdAt, completedAt }) => isWithin(createdAt, completedAt)).slice(0, limit),
    ),
    backups: backups.backups.map(toRecoverable)
      .filter((backup) => isWithin(backup.from, backup.to)).slice(0, limit),
    damaged: [
      ...points.damaged.map(({ pointId, ...rest }) => ({ id: pointId, ...rest })),
      ...backups.damaged.map(({ backupId, ...rest }) => ({ id: backupId, ...rest })),
    ],
  };
}

function toRecoverable(record: BackupRecord): RecoverableBackup {
  const { backupId, type, origin, createdAt, completedAt } = record;
  const head = { backupId, type, origin };
  if (record.type !== "database") {
    return { ...head, from: createdAt, to: completedAt, partial: record.partial };
  }
  const { snapshotAt, level } = record.consistency;
  return { ...head, from: snapshotAt, to: snapshotAt, partial: level !== "one-moment" };
}
