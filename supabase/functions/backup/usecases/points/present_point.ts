/**
 * Recovery points as they are now: they are written once, and retention lets backups of theirs go later.
 *
 * @module
 */
import type { PointComponent, RecoveryPoint, Repository } from "../../repository/mod.ts";

/**
 * The points without the backups that expired; what else is missing stays named, because it is lost.
 *
 * @throws `storage_*`
 */
export async function presentPoints(
  repository: Repository,
  points: readonly RecoveryPoint[],
): Promise<RecoveryPoint[]> {
  const there = new Set(await repository.backupIds());
  const isGone = ({ backupId }: PointComponent) => backupId !== null && !there.has(backupId);
  if (!points.some(({ components }) => components.some(isGone))) return [...points];
  const oldest = Math.min(...points.map(({ createdAt }) => Date.parse(createdAt)));
  const expired = await repository.freeing.expired({ since: new Date(oldest) });
  return points.map((point) => {
    const components = point.components.map((component): PointComponent => {
      const gone = component.backupId === null ? undefined : expired.get(component.backupId);
      if (gone === undefined || !isGone(component)) return component;
      const reason = `retention let it go on ${gone.at.slice(0, 10)}: it was ${gone.why}`;
      return { ...component, status: "expired", backupId: null, reason };
    });
    const isLess = components.some(({ status }) => status === "expired");
    const status = isLess && point.status === "completed" ? "partial" : point.status;
    return { ...point, status, components };
  });
}
