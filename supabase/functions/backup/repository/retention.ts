/**
 * Which backups are kept and which expire: a pure function of what is stored, the rules and the time.
 *
 * What it never does, whatever the rules: expire the last good backup of a type, one that somebody uses, one
 * whose moment lies in the future, or anything of a type of which there is no good backup. Ages are counted
 * from the newest good backup of the type, not from the present: where backups have stopped, nothing expires.
 *
 * @module
 */
import type { BackupType } from "./records.ts";

const DAY_MS = 86_400_000;

/** Moments so far ahead of the present are another clock's mistake, or a forgery. */
const FUTURE_MS = 3_600_000;

/** What retention looks at in a backup. */
export interface RetainedBackup {
  backupId: string;
  type: BackupType;
  createdAt: Date;
  /** As its record says; null when the record cannot be read. */
  origin: "manual" | "scheduled" | "safety" | null;
  /** Somebody gave a reason for it. */
  hasReason: boolean;
  /** Whole, readable, and no verification has found damage in it. */
  good: boolean;
}

/** The rules in force. */
export interface RetentionRules {
  /** Days that backups of a type are kept. */
  days: Record<BackupType, number>;
  /** Of databases, older than their days: the newest of so many weeks, and of so many months. */
  weekly: number;
  monthly: number;
  /** Days for those that somebody made with a reason, and for the ways back of restores. */
  manualDays: number;
  /** Good backups of each type that are kept however old they are; at least one. */
  minimumKept: number;
  /** Days that the storage's lock holds whatever is stored; 0 without one. */
  lockedDays: number;
}

/** What becomes of a backup and why. */
export interface Retention {
  backupId: string;
  type: BackupType;
  keep: boolean;
  /** In words. */
  why: string;
  /** When it would expire by its days alone; null when they do not decide. */
  until: Date | null;
}

/**
 * Decides for every backup, newest first.
 *
 * @param options `inUse`: ids that a running restore or verification reads
 */
export function decideRetention(
  backups: readonly RetainedBackup[],
  { rules, now, inUse = new Set() }: {
    rules: RetentionRules;
    now: Date;
    inUse?: ReadonlySet<string>;
  },
): Retention[] {
  const types = [...new Set(backups.map(({ type }) => type))];
  return types
    .flatMap((type) => {
      const ofType = backups.filter((backup) => backup.type === type).toSorted(newestFirst);
      return decideType(ofType, { rules, now, inUse });
    })
    .toSorted((a, b) => (a.backupId.slice(7) < b.backupId.slice(7) ? 1 : -1));
}

function decideType(
  backups: readonly RetainedBackup[],
  { rules, now, inUse }: { rules: RetentionRules; now: Date; inUse: ReadonlySet<string> },
): Retention[] {
  const isAhead = ({ createdAt }: RetainedBackup) =>
    createdAt.getTime() > now.getTime() + FUTURE_MS;
  const usable = backups.filter((backup) =>
    backup.good && backup.origin !== "safety" && !isAhead(backup)
  );
  const newest = usable[0];
  const last = new Set(usable.slice(0, Math.max(1, rules.minimumKept)));
  const from = Math.min(now.getTime(), newest?.createdAt.getTime() ?? now.getTime());
  const expiry = (backup: RetainedBackup) =>
    backup.createdAt.getTime() + daysOf(backup, rules) * DAY_MS;
  const isOld = (backup: RetainedBackup) => expiry(backup) <= from;
  const spread = keepSpread(usable.filter(isOld), rules);
  return backups.map((backup): Retention => {
    const head = { backupId: backup.backupId, type: backup.type };
    const kept = (why: string) => ({ ...head, keep: true, why, until: null });
    const lockedUntil = backup.createdAt.getTime() + rules.lockedDays * DAY_MS;
    if (isAhead(backup)) return kept("its moment lies in the future: look at the clocks");
    if (newest === undefined) return kept("there is no good backup of this type");
    if (!isOld(backup)) {
      const until = new Date(expiry(backup));
      return { ...head, keep: true, why: whyDays(backup, rules), until };
    }
    if (last.has(backup)) {
      return kept(last.size === 1 ? "the last good one" : `one of the last ${last.size} good ones`);
    }
    const slot = spread.get(backup);
    if (slot !== undefined) return kept(slot);
    if (inUse.has(backup.backupId)) return kept("a running job reads it");
    if (lockedUntil > now.getTime()) {
      return kept(`the storage locks it until ${new Date(lockedUntil).toISOString()}`);
    }
    return { ...head, keep: false, why: `older than ${daysOf(backup, rules)} days`, until: null };
  });
}

/** Newest first; ids decide where moments are equal, so that the order is always the same. */
function newestFirst(a: RetainedBackup, b: RetainedBackup): number {
  const difference = b.createdAt.getTime() - a.createdAt.getTime();
  return difference !== 0 ? difference : a.backupId < b.backupId ? 1 : -1;
}

function isByHand({ origin, hasReason }: RetainedBackup): boolean {
  return origin === "safety" || origin === null || (origin === "manual" && hasReason);
}

function daysOf(backup: RetainedBackup, { days, manualDays }: RetentionRules): number {
  const usual = days[backup.type];
  if (backup.origin === "safety") return manualDays;
  return isByHand(backup) ? Math.max(usual, manualDays) : usual;
}

function whyDays(backup: RetainedBackup, rules: RetentionRules): string {
  const what = backup.origin === "safety" ? "the way back of a restore, " : "";
  return `${what}younger than ${daysOf(backup, rules)} days`;
}

/**
 * The newest of each of the latest weeks and months that have any. A week is ISO 8601's and a month the
 * calendar's, in UTC.
 */
function keepSpread(
  old: readonly RetainedBackup[],
  { weekly, monthly }: RetentionRules,
): Map<RetainedBackup, string> {
  const kept = new Map<RetainedBackup, string>();
  const keepOne = (count: number, bucketOf: (at: Date) => string, word: string) => {
    const seen = new Set<string>();
    for (const backup of old) {
      if (backup.type !== "database") continue;
      const bucket = bucketOf(backup.createdAt);
      if (seen.has(bucket)) continue;
      if (seen.size >= count) return;
      seen.add(bucket);
      if (!kept.has(backup)) kept.set(backup, `the newest of the ${word} ${bucket}`);
    }
  };
  keepOne(weekly, isoWeek, "week");
  keepOne(monthly, (at) => at.toISOString().slice(0, 7), "month");
  return kept;
}

/** Such as `2026-W09`: a week belongs to the year of its Thursday. */
function isoWeek(at: Date): string {
  const day = (at.getUTCDay() + 6) % 7;
  const thursday = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate() - day + 3);
  const year = new Date(thursday).getUTCFullYear();
  const week = 1 + Math.floor((thursday - Date.UTC(year, 0, 1)) / (7 * DAY_MS));
  return `${year}-W${String(week).padStart(2, "0")}`;
}
