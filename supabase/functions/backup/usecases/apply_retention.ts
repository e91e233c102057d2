/**
 * Applies retention to the stored backups: decides, takes the records of what expired out of storage, and
 * recovery points away of which nothing is left.
 *
 * @module
 */
import { momentOfJobId, typeOfJobId } from "../core/ids.ts";
import type { Settings } from "../core/settings.ts";
import {
  type BackupList,
  type BackupRecord,
  decideRetention,
  type RecoveryPoint,
  type Repository,
  type RetainedBackup,
  type Retention,
  type RetentionRules,
} from "../repository/mod.ts";

const DAY_MS = 86_400_000;

/** Records that leave storage in one run; the next one goes on. */
const MOST_EXPIRED = 400;

/** What is known of backups beside the storage. */
export interface RetentionFacts {
  /** The present, by the most trustworthy clock there is. */
  now: Date;
  /** Backups in which a verification has found damage. */
  damaged: ReadonlySet<string>;
  /** Backups that running jobs read. */
  inUse: ReadonlySet<string>;
}

/** What retention did, or would do. */
export interface Applied {
  expired: { backupId: string; why: string; newBytes: number }[];
  keptBackups: { backupId: string; why: string; until: string | null }[];
  /** The storage does not give them up: a lock or a hold. */
  refused: { backupId: string; message: string }[];
  /** Ids of recovery points of which there is no backup any more. */
  removedPoints: string[];
  /** Backups that are due to expire and were left to the next run. */
  leftToExpire: number;
}

/** The rules that the settings make. @param lockedDays how long the storage's lock holds an object */
export function rulesOf(settings: Settings, lockedDays: number): RetentionRules {
  return {
    days: {
      database: settings.databaseBackupRetention,
      function: settings.functionBackupRetention,
      config: settings.configBackupRetention,
      secrets: settings.secretsBackupRetention,
      files: settings.filesBackupRetention,
    },
    weekly: settings.weeklyBackupsKept,
    monthly: settings.monthlyBackupsKept,
    manualDays: settings.manualBackupRetention,
    minimumKept: settings.minimumBackupsKept,
    lockedDays,
  };
}

/** @throws `storage_*`, `key_*` */
export async function applyRetention(
  repository: Repository,
  { runId, rules, dryRun, facts, signal }: {
    runId: string;
    rules: RetentionRules;
    dryRun: boolean;
    facts: RetentionFacts;
    signal?: AbortSignal;
  },
): Promise<Applied> {
  const options = signal === undefined ? {} : { signal };
  const list = await repository.listBackups(options);
  const { now, inUse } = facts;
  const decided = decideRetention(toRetained(list, facts), { rules, now, inUse });
  const toExpire = decided.filter(({ keep }) => !keep);
  // The oldest first, so that a run that ends early leaves a history without holes.
  const expiring = toExpire.toReversed().slice(0, MOST_EXPIRED);
  const report = dryRun
    ? { expired: expiring.map(({ backupId }) => backupId), refused: [] }
    : await repository.freeing.expire(expiring, { runId, at: now, ...options });
  const gone = new Set(report.expired);
  const pointIds = await emptyPoints(repository, {
    left: new Set(decided.map(({ backupId }) => backupId).filter((id) => !gone.has(id))),
    before: new Date(now.getTime() - rules.manualDays * DAY_MS),
    signal,
  });
  const newBytes = new Map(list.backups.map((each) => [each.backupId, each.totals.newStoredBytes]));
  return {
    expired: expiring.filter(({ backupId }) => gone.has(backupId)).map(({ backupId, why }) => ({
      ...{ backupId, why, newBytes: newBytes.get(backupId) ?? 0 },
    })),
    keptBackups: decided.filter(({ keep }) => keep).map(toKept),
    refused: report.refused,
    removedPoints: dryRun ? pointIds : await repository.freeing.removePoints(pointIds, options),
    leftToExpire: toExpire.length - expiring.length,
  };
}

function toKept({ backupId, why, until }: Retention) {
  return { backupId, why, until: until?.toISOString() ?? null };
}

/** What is listed, as retention sees it; what cannot be read is of the moment that its id tells. */
export function toRetained(
  { backups, damaged }: BackupList,
  facts: Pick<RetentionFacts, "damaged">,
): RetainedBackup[] {
  const readable = backups.map((record): RetainedBackup => ({
    backupId: record.backupId,
    type: record.type,
    // The id's moment is the order of backups; a record may be made by a clock that stood elsewhere.
    createdAt: momentOfJobId(record.backupId) ?? new Date(record.createdAt),
    origin: record.backupId.startsWith("safety_") ? "safety" : record.origin,
    hasReason: record.reason !== null,
    good: isWhole(record) && !facts.damaged.has(record.backupId),
  }));
  const others = damaged.flatMap(({ backupId }): RetainedBackup[] => {
    const createdAt = momentOfJobId(backupId);
    if (createdAt === null) return [];
    const origin = backupId.startsWith("safety_") ? "safety" as const : null;
    const type = typeOfJobId(backupId);
    return [{ backupId, type, createdAt, origin, hasReason: false, good: false }];
  });
  return [...readable, ...others];
}

function isWhole(record: BackupRecord): boolean {
  return record.type === "database" ? record.consistency.level === "one-moment" : !record.partial;
}

/** Points without any backup that is still there; those that never had one stay for a while. */
async function emptyPoints(
  repository: Repository,
  { left, before, signal }: {
    left: ReadonlySet<string>;
    before: Date;
    signal: AbortSignal | undefined;
  },
): Promise<string[]> {
  const { points } = await repository.listPoints(signal === undefined ? {} : { signal });
  const idsOf = ({ components }: RecoveryPoint) =>
    components.flatMap(({ backupId }) => backupId === null ? [] : [backupId]);
  return points.filter((point) => {
    const ids = idsOf(point);
    if (ids.length === 0) return new Date(point.completedAt) < before;
    return ids.every((id) => !left.has(id));
  }).map(({ pointId }) => pointId);
}
