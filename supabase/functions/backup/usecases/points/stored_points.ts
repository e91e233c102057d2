/**
 * Brings the table of recovery points up to what storage has: storage is the truth.
 *
 * @module
 */
import type { RecoveryPoint, Repository } from "../../repository/mod.ts";
import type { StoredPoint } from "../../state/recovery_points.ts";
import type { Deps } from "../deps.ts";

/** Points that are read in one go. */
const MOST_ADDED = 100;

/** Adds rows for points that the table does not know, the newest first, some hundred at most. */
export async function syncPoints(
  deps: Deps,
  repository: Repository,
): Promise<{ added: string[]; left: number }> {
  const unknown = await deps.state.recoveryPoints.unknown(await repository.pointIds());
  const ids = unknown.slice(0, MOST_ADDED);
  const { points } = await repository.listPoints({ ids });
  const added = await deps.state.recoveryPoints.addFromStorage(
    points.map((point) => toStoredPoint(point, repository.location)),
  );
  return { added, left: unknown.length - ids.length };
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
