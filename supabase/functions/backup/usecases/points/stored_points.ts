/**
 * Brings the table of recovery points up to what storage has: storage is the truth.
 *
 * @module
 */
import type { RecoveryPoint, Repository } from "../../repository/mod.ts";
import type { StoredPoint } from "../../state/recovery_points.ts";
import type { Deps } from "../deps.ts";
import type { SyncedRows } from "../service/stored_backups.ts";
import { noteUnreadable, recordsToRead } from "../service/unreadable_records.ts";

/** Points that are read in one go. */
const MOST_ADDED = 100;

/** Adds rows for points that the table does not know, the newest first, some hundred at most. */
export async function syncPoints(
  deps: Deps,
  repository: Repository,
): Promise<SyncedRows> {
  const unknown = await deps.state.recoveryPoints.unknown(await repository.pointIds());
  const { ids, left } = await recordsToRead(deps, unknown, MOST_ADDED);
  const { points, damaged } = await repository.listPoints({ ids });
  const added = await deps.state.recoveryPoints.addFromStorage(
    points.map((point) => toStoredPoint(point, repository.location)),
  );
  const unreadable = damaged.map(({ pointId: id, code }) => ({ id, code }));
  await noteUnreadable(deps, unreadable, repository);
  return { added, left, unreadable };
}

/** A point as a row of the table. */
export function toStoredPoint(point: RecoveryPoint, location: string): StoredPoint {
  const database = point.components.find(({ type, backupId }) =>
    type === "database" && backupId !== null
  );
  return {
    pointId: point.pointId,
    backupId: database?.backupId ?? null,
    recoveryTimestamp: database?.to ?? point.completedAt,
    isConsistent: database?.status === "completed",
    createdAt: point.createdAt,
    completedAt: point.completedAt,
    status: point.status,
    reason: point.reason,
    createdBy: point.createdBy,
    components: point.components,
    consistency: point.consistency,
    location,
  };
}
