/**
 * Brings the table of recovery points up to what storage has: storage is the truth.
 *
 * @module
 */
import type { RecoveryPoint, Repository } from "../../repository/mod.ts";
import type { StoredPoint } from "../../state/recovery_points.ts";
import type { Deps } from "../deps.ts";

/** Adds rows for points that the table does not know; returns their ids. */
export async function syncPoints(deps: Deps, repository: Repository): Promise<string[]> {
  const { points } = await repository.listPoints();
  return await deps.state.recoveryPoints.addFromStorage(
    points.map((point) => toStoredPoint(point, repository.location)),
  );
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
