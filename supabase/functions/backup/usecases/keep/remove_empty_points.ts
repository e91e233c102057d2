/**
 * Takes recovery points away of which nothing is left.
 *
 * @module
 */
import { momentOfJobId } from "../../core/ids.ts";
import type { RecoveryPoint, Repository, RetentionRules } from "../../repository/mod.ts";

const DAY_MS = 86_400_000;

/** What {@linkcode removeEmptyPoints} goes by. */
export interface EmptyPoints {
  /** Backups that are listed. */
  listed: ReadonlySet<string>;
  /** Backups that somebody let go: given up, or in a dry run about to expire. Those that expired storage knows. */
  letGo: ReadonlySet<string>;
  rules: RetentionRules;
  now: Date;
  dryRun: boolean;
  signal?: AbortSignal;
}

/**
 * Takes away, of these points, those whose backups were all let go, and those that never had any and are old. A
 * backup that is only not listed proves nothing: lists may be cut off, and what somebody took away stays named.
 *
 * @returns their ids
 */
export async function removeEmptyPoints(
  repository: Repository,
  pointIds: readonly string[],
  { listed, letGo, rules, now, dryRun, signal }: EmptyPoints,
): Promise<string[]> {
  const options = signal === undefined ? {} : { signal };
  const before = new Date(now.getTime() - rules.manualDays * DAY_MS);
  const { points } = await repository.listPoints({ ids: pointIds, ...options });
  const never = points.filter((point) =>
    backupsOf(point).length === 0 && new Date(point.completedAt) < before
  );
  const unlisted = points.filter((point) => {
    const ids = backupsOf(point);
    return ids.length > 0 && ids.every((id) => !listed.has(id));
  });
  const gone = await goneOf(repository, unlisted.flatMap(backupsOf), { letGo, dryRun, signal });
  const bereft = unlisted.filter((point) => backupsOf(point).every((id) => gone.has(id)));
  const empty = [...never, ...bereft].map(({ pointId }) => pointId);
  return dryRun ? empty : await repository.freeing.removePoints(empty, options);
}

/** Those that somebody let go and that are not there, each asked for by its name. */
async function goneOf(
  repository: Repository,
  ids: readonly string[],
  { letGo, dryRun, signal }: Pick<EmptyPoints, "letGo" | "dryRun"> & {
    signal: AbortSignal | undefined;
  },
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const options = signal === undefined ? {} : { signal };
  const since = new Date(Math.min(...ids.map((id) => momentOfJobId(id)?.getTime() ?? 0)));
  const expired = await repository.freeing.expired({ ...options, since });
  const gone = ids.filter((id) => letGo.has(id) || expired.has(id));
  if (dryRun) return new Set(gone);
  const { damaged } = await repository.listBackups({ ids: gone, ...options });
  return new Set(
    damaged.filter(({ code }) => code === "object_missing").map(({ backupId }) => backupId),
  );
}

function backupsOf({ components }: RecoveryPoint): string[] {
  return components.flatMap(({ backupId }) => backupId === null ? [] : [backupId]);
}
