/**
 * Applies retention to the stored backups: decides, and takes the records of what expired out of storage.
 *
 * @module
 */
import { momentOfJobId, typeOfJobId } from "../../core/ids.ts";
import type { Settings } from "../../core/settings.ts";
import {
  type BackupList,
  type BackupRecord,
  decideRetention,
  type Repository,
  type RetainedBackup,
  type Retention,
  type RetentionRules,
} from "../../repository/mod.ts";

const DAY_MS = 86_400_000;

/** Records that leave storage in one run; the next one goes on. */
const MOST_EXPIRED = 200;

/** What is known of backups beside the storage. */
export interface RetentionFacts {
  /** The present, by the most trustworthy clock there is. */
  now: Date;
  /** Backups in which a verification has found damage. */
  damaged: ReadonlySet<string>;
  /** Backups that running jobs read. */
  inUse: ReadonlySet<string>;
  /** Backups that somebody made with a reason, as far as the tables know. */
  withReason: ReadonlySet<string>;
  /** Backups that were lost, and that somebody gave up. */
  givenUp: ReadonlySet<string>;
}

/** What retention did, or would do. */
export interface Applied {
  expired: { backupId: string; why: string; newBytes: number }[];
  keptBackups: { backupId: string; why: string; until: string | null }[];
  /** The storage does not give them up: a lock or a hold. */
  refused: { backupId: string; message: string }[];
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

/** A backup as its record tells it. Survives JSON. */
export interface LookedBackup extends Omit<RetainedBackup, "createdAt"> {
  createdAt: string;
  newBytes: number;
}

/** Backups whose days are over, of which retention has to know more than the id. */
export async function findOld(
  repository: Repository,
  { rules, now, signal }: { rules: RetentionRules; now: Date; signal?: AbortSignal },
): Promise<string[]> {
  const ids = await repository.backupIds(signal === undefined ? {} : { signal });
  return byAge(ids, { rules, now }).flatMap(({ old }) => old);
}

/** Reads records. */
export async function lookAtBackups(
  repository: Repository,
  { ids, facts, signal }: {
    ids: readonly string[];
    facts: Pick<RetentionFacts, "damaged">;
    signal?: AbortSignal;
  },
): Promise<LookedBackup[]> {
  const list = await repository.listBackups({ ids, ...(signal === undefined ? {} : { signal }) });
  const bytes = new Map(
    list.backups.map(({ backupId, totals }) => [backupId, totals.newStoredBytes]),
  );
  return toRetained(list, facts).map(({ createdAt, ...backup }) => ({
    ...backup,
    createdAt: createdAt.toISOString(),
    newBytes: bytes.get(backup.backupId) ?? 0,
  }));
}

/** @param plan `looked`: records that were read before; what lacks is read now @throws `storage_*`, `key_*` */
export async function applyRetention(
  repository: Repository,
  { runId, rules, dryRun, facts, looked = [], signal }: {
    runId: string;
    rules: RetentionRules;
    dryRun: boolean;
    facts: RetentionFacts;
    looked?: readonly LookedBackup[];
    signal?: AbortSignal;
  },
): Promise<Applied> {
  const options = signal === undefined ? {} : { signal };
  const { backups, newBytes } = await gatherBackups(repository, {
    ...{ rules, facts, looked, ...options },
  });
  const { now, inUse } = facts;
  const decided = decideRetention(backups, { rules, now, inUse });
  const toExpire = decided.filter(({ keep }) => !keep);
  // The oldest first, so that a run that ends early leaves a history without holes.
  const expiring = toExpire.toReversed().slice(0, MOST_EXPIRED);
  const report = dryRun
    ? { expired: expiring.map(({ backupId }) => backupId), refused: [] }
    : await repository.freeing.expire(expiring, { runId, at: now, ...options });
  const why = new Map(decided.map((each) => [each.backupId, each.why]));
  return {
    expired: report.expired.map((backupId) => ({
      backupId,
      why: why.get(backupId) ?? "noted by a try before this one",
      newBytes: newBytes.get(backupId) ?? 0,
    })),
    keptBackups: decided.filter(({ keep }) => keep).map(toKept),
    refused: report.refused,
    leftToExpire: toExpire.length - expiring.length,
  };
}

/**
 * What retention has to know. Records of backups that are young by their ids are not read, but for the newest
 * good ones: there may be hundreds, and each costs a request. Of the others the tables say which have a reason.
 */
async function gatherBackups(
  repository: Repository,
  { rules, facts, looked, signal }: {
    rules: RetentionRules;
    facts: RetentionFacts;
    looked: readonly LookedBackup[];
    signal?: AbortSignal;
  },
): Promise<{ backups: RetainedBackup[]; newBytes: Map<string, number> }> {
  const options = signal === undefined ? {} : { signal };
  const newBytes = new Map<string, number>();
  const known = new Map(looked.map((each) => [each.backupId, each]));
  const read = async (ids: readonly string[]) => {
    const unread = ids.filter((id) => !known.has(id));
    const now = await lookAtBackups(repository, { ids: unread, facts, ...options });
    for (const each of now) known.set(each.backupId, each);
    return ids.flatMap((id) => known.get(id) ?? []).map(({ newBytes: bytes, ...backup }) => {
      newBytes.set(backup.backupId, bytes);
      return { ...backup, createdAt: new Date(backup.createdAt) };
    });
  };
  const backups: RetainedBackup[] = [];
  const all = await repository.backupIds(options);
  for (const { young, old } of byAge(all, { rules, now: facts.now })) {
    let good = 0;
    for (const id of young) {
      const known = good >= rules.minimumKept || id.startsWith("safety_")
        ? [unread(id, facts)]
        : await read([id]);
      backups.push(...known);
      if (known.some((each) => each.good && each.createdAt <= facts.now)) good++;
    }
    backups.push(...await read(old));
  }
  return { backups, newBytes };
}

/** Ids of each type, apart by whether its days are over. */
function byAge(
  all: readonly string[],
  { rules, now }: { rules: RetentionRules; now: Date },
): { young: string[]; old: string[] }[] {
  return [...Map.groupBy(all, typeOfJobId)].map(([type, ids]) => {
    const moments = new Map(ids.map((id) => [id, momentOfJobId(id)?.getTime() ?? -Infinity]));
    // A name that tells no moment is nobody's newest, wherever it sorts.
    const newest = ids.map((id) => moments.get(id)!).find(Number.isFinite) ?? now.getTime();
    const from = Math.min(now.getTime(), newest) - rules.days[type] * DAY_MS;
    const isYoung = (id: string) => moments.get(id)! > from;
    return { young: ids.filter(isYoung), old: ids.filter((id) => !isYoung(id)) };
  });
}

/** One that its days keep, whatever its record says. A reason only makes its days more. */
function unread(backupId: string, { withReason }: RetentionFacts): RetainedBackup {
  const isSafety = backupId.startsWith("safety_");
  const hasReason = withReason.has(backupId);
  return {
    backupId,
    type: typeOfJobId(backupId),
    createdAt: momentOfJobId(backupId)!,
    origin: isSafety ? "safety" : hasReason ? "manual" : "scheduled",
    ...{ hasReason, good: !isSafety },
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

/** A database that was half restored is half saved: the backup that it came from must not expire for it. */
function isWhole(record: BackupRecord): boolean {
  if (record.type !== "database") return !record.partial;
  const { level, unfinishedRestore } = record.consistency;
  return level === "one-moment" && unfinishedRestore === undefined;
}
