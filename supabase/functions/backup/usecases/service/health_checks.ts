/**
 * What the state of the service means: a pure function from what was found to checks, each with how bad it is
 * and what to do. Nothing is looked at here, so what was not found out is `unknown`, never `ok`.
 *
 * @module
 */
import { type BackupError, outwardMessage } from "../../core/errors.ts";
import { typeOfJobId } from "../../core/ids.ts";
import { JOB_TYPES, type JobType } from "../../core/job.ts";
import { requestLine } from "../../core/request_line.ts";
import type { ScheduleState } from "../deps.ts";
import { isDamage } from "../people/tell_end.ts";
import { momentOf } from "../restore/lost_backups.ts";
import type { CopyOverview, Status, TypeOverview } from "./read_status.ts";
import { INTERVALS } from "./what_is_due.ts";

/** How bad something is, from good to bad: not to know is worse than to know that all is well. */
export const SEVERITIES = ["ok", "unknown", "warning", "critical"] as const;

/** One of {@linkcode SEVERITIES}. */
export type Severity = typeof SEVERITIES[number];

/** What one look came to. */
export interface HealthCheck {
  name: string;
  severity: Severity;
  message: string;
  /** What to do; null when there is nothing to do. */
  recommendation: string | null;
}

/** What verifications of the backups at the storage have found, by the tables. */
export interface Integrity {
  /** Of the latest one, ISO 8601; null when there was none. */
  lastAt: string | null;
  /** Ids of backups that are there still and are marked as damaged. */
  damaged: string[];
}

/** Everything that checks are made of. */
export interface HealthFacts {
  now: Date;
  status: Status;
  /** Null while the tables cannot be read, or no storage is set up. */
  integrity: Integrity | null;
  /** The clock in the database; null while that cannot be read. */
  clock: ScheduleState | null;
}

type Finding = Omit<HealthCheck, "name">;

const HOUR_MS = 3_600_000;

/** What runs every so often is late when it did not run for this many of its intervals. */
const LATE_INTERVALS = 1.5;

/** A copy is to be brought along after each backup: this old, or due for so long, it was left behind. */
const MOST_COPY_AGE_HOURS = 36;
const MOST_COPY_DELAY_HOURS = 6;

/** Ids, and wrong settings, that a message names. */
const MOST_NAMED = 5;

const TEST = 'curl -s "$URL?action=test" -H "apikey: $KEY"';
const JOBS = 'curl -s "$URL?action=jobs" -H "apikey: $KEY"';

const NO_TABLES = unknown("not known while the tables cannot be read");
const NO_SETTINGS = "by the environment alone: the settings of the tables could not be read";
const NO_STORAGE = unknown("not known while the storage cannot be read");

/** All checks, those that others hang on first. */
export function healthChecks(facts: HealthFacts): HealthCheck[] {
  const { status } = facts;
  const found: Record<string, Finding> = {
    database: checkDatabase(status),
    storage: checkStorage(status),
    "lost-backups": checkLost(status),
    ...ofEach(
      JOB_TYPES.filter((type) => status.backups[type].enabled),
      (type) => [`last-backup-${type}`, checkLast(facts, type)],
    ),
    sizes: ofNewest(status, ({ shrunk }) => shrunk, {
      fine: "no newest backup holds less than half of the one before it",
      recommendation:
        "Find out whether the rows or files were lost. The backup before it has them.",
    }),
    "half-restored-backups": ofNewest(status, ({ halfRestored }) => halfRestored, {
      fine: "no newest backup was made in the middle of a restore",
      recommendation: "Bring the restore to its end, then back up again.",
    }),
    integrity: checkIntegrity(facts),
    incidents: checkIncidents(status),
    ...ofEach(status.destinations, (copy) => [`copy-${copy.name}`, checkCopy(facts, copy)]),
    "restore-capability": checkRecoverable(status),
    "unfinished-restores": checkUnfinished(status),
    "held-moments": checkMoments(status),
    clock: checkClock(facts),
    settings: checkSettings(status),
    notifications: checkNotifications(status),
  };
  return Object.entries(found).map(([name, finding]) => ({ name, ...finding }));
}

/** Checks that need nothing to be set up: those of types and copies are known by the settings only. */
const OF_EVERY_SERVICE = [
  ...["database", "storage", "lost-backups", "sizes", "half-restored-backups", "integrity"],
  ...["incidents", "restore-capability", "unfinished-restores", "held-moments", "clock"],
  ...["settings", "notifications"],
];

/** What stands in the way of every look is critical, and all else is unknown. */
export function unknownChecks(failure: BackupError): HealthCheck[] {
  const { code, hint } = failure;
  const found = `${code}: ${outwardMessage(failure)}`;
  const culprit = code === "invalid_config" ? "settings" : "database";
  return OF_EVERY_SERVICE.map((name) => ({
    name,
    ...(name === culprit
      ? critical(found, hint ?? `Look at each part of the service: ${TEST}`)
      : unknown(`not known while the ${culprit} cannot be read`)),
  }));
}

/** The worst of all. */
export function worstOf(checks: readonly Pick<HealthCheck, "severity">[]): Severity {
  const worst = Math.max(...checks.map(({ severity }) => SEVERITIES.indexOf(severity)), 0);
  return SEVERITIES[worst]!;
}

function checkDatabase({ database: { ok, found } }: Status): Finding {
  return ok ? fine(found) : critical(
    found,
    "Bring the database back, or make the service's tables: " +
      `${requestLine("init")}. Backups in storage can be restored meanwhile.`,
  );
}

function checkStorage({ storage: { ok, found }, backups }: Status): Finding {
  if (ok) return fine(found);
  if (anyLost(backups)) return fine("reachable");
  return critical(found, `Look at the storage, its key and its settings: ${TEST}`);
}

function checkLost({ storage: { ok, found }, backups, database }: Status): Finding {
  if (anyLost(backups)) {
    return critical(found, "Look at another copy. What was removed on purpose can be given up.");
  }
  if (!ok) return NO_STORAGE;
  return database.ok ? fine("storage has all that the tables know") : NO_TABLES;
}

function checkLast({ status }: HealthFacts, type: JobType): Finding {
  const { last, overdue, whyNotDue, nextDueAt } = status.backups[type];
  if (!isStorageRead(status)) return NO_STORAGE;
  const now = requestLine(`backup-${type}`);
  const reasons = [
    ...(whyNotDue === null ? [] : [whyNotDue]),
    ...(status.settingsFrom.includes("backup_config") ? [] : [NO_SETTINGS]),
  ];
  const why = reasons.length === 0 ? "" : ` (${reasons.join("; ")})`;
  if (last === null) {
    const none = `there is no backup of this type${why}`;
    return type === "database"
      ? critical(none, `Make one: ${now}`)
      : warning(none, `Make one: ${now}. Or switch the type off.`);
  }
  const made = `${last.backupId} at ${last.completedAt}`;
  if (overdue) {
    const hours = LATE_INTERVALS * status.settings[INTERVALS[type]];
    const late = `${made} is older than ${hours} hours${why}`;
    const recommendation = `See why it did not run: ${JOBS}. Make one: ${now}`;
    return type === "database" ? critical(late, recommendation) : warning(late, recommendation);
  }
  if (last.partial) {
    return warning(`${made} had to leave items out`, `Its job names them: ${JOBS}`);
  }
  if (!status.database.ok) return fine(`${made}${why}`);
  return fine(nextDueAt === null ? made : `${made}, next at ${nextDueAt}`);
}

function ofNewest(
  status: Status,
  find: (of: TypeOverview) => string | null,
  words: { fine: string; recommendation: string },
): Finding {
  if (!isStorageRead(status)) return NO_STORAGE;
  const found = JOB_TYPES.flatMap((type) => find(status.backups[type]) ?? []);
  return found.length === 0
    ? fine(words.fine)
    : warning(shorten(found, "; "), words.recommendation);
}

function checkIntegrity({ now, status, integrity }: HealthFacts): Finding {
  if (integrity === null) return status.storage.location === null ? NO_STORAGE : NO_TABLES;
  const { lastAt, damaged } = integrity;
  if (damaged.length > 0) return ofDamage(status, damaged);
  const { enableBackupVerification: isOn, verificationInterval } = status.settings;
  const verify = requestLine("verify", { level: "full" });
  if (lastAt === null) {
    if (JOB_TYPES.every((type) => status.backups[type].count === 0)) {
      return unknown("there is no backup that could be verified");
    }
    return warning("no backup was ever verified", `Verify them: ${verify}`);
  }
  const sound = `last verified at ${lastAt}, no damage`;
  if (!isOn) {
    return unknown(
      `${sound}; verification is switched off`,
      "Switch BACKUP_ENABLE_VERIFICATION on.",
    );
  }
  const isLate =
    Date.parse(lastAt) + LATE_INTERVALS * verificationInterval * HOUR_MS <= now.getTime();
  return isLate
    ? warning(
      `${sound}; that is more than ${LATE_INTERVALS * verificationInterval} hours ago`,
      `See why it did not run: ${JOBS}. Verify now: ${verify}`,
    )
    : fine(sound);
}

/** Damage of what a later backup of its type has taken the place of is no alarm for the night. */
function ofDamage({ backups }: Status, damaged: readonly string[]): Finding {
  const isReplaced = (id: string) => {
    const last = backups[typeOfJobId(id)].last?.backupId;
    return last !== undefined && !damaged.includes(last) && momentOf(last) > momentOf(id);
  };
  const found = `verification found damage in ${shorten(damaged)}`;
  const one = damaged.length === 1 ? damaged[0]! : "<its id>";
  const end =
    "Each that is damaged: put its objects back from a copy, and this ends when it is verified: " +
    `${requestLine("verify", { backupId: one, level: "full" })}. What is lost for good: ` +
    requestLine("init", { giveUpBackups: [one] });
  if (damaged.every(isReplaced)) {
    return warning(`${found}; a later one is there of each type, without known damage`, end);
  }
  const types = [...new Set(damaged.filter((id) => !isReplaced(id)).map(typeOfJobId))];
  const now = types.map((type) => requestLine(`backup-${type}`)).join("; ");
  return critical(found, `Make a new backup now: ${now}. ${end}`);
}

/** Damage outside of the rows of backups, in recovery points, key files or copies, is told by incidents only. */
function checkIncidents({ notifications: { open }, database }: Status): Finding {
  if (!database.ok) return NO_TABLES;
  if (open.length === 0) return fine("none is open");
  const damage = open.filter(({ about }) => isDamage(about));
  const told = (some: typeof open) =>
    shorten(some.map(({ about, since }) => `${about} since ${since}`));
  if (damage.length === 0) {
    return warning(`open: ${told(open)}`, `See why; each ends when its work ends well: ${JOBS}`);
  }
  return critical(
    `damage was found: ${told(damage)}`,
    "Its verification's job names the objects: put them back from a copy. This ends with a complete " +
      `verification of the place, without a problem: ${requestLine("verify", { level: "full" })} ` +
      "(with destination, for damage:copy:…).",
  );
}

function checkCopy({ status: { database }, now }: HealthFacts, copy: CopyOverview): Finding {
  const { name, lastCopy, failures, nextAt, why } = copy;
  if (!database.ok || failures === null) return NO_TABLES;
  const replicate = requestLine("replicate", { destination: name });
  const last = lastCopy === null
    ? "never brought up to date"
    : `brought up to date at ${lastCopy.at}`;
  if (failures > 0) {
    const recommendation = `See why: ${JOBS}. Try again: ${replicate}`;
    return warning(`${last}, and ${failures} tries have failed since`, recommendation);
  }
  if (lastCopy === null) return warning(last, `Make the copy: ${replicate}`);
  if (why !== null && nextAt === null) return warning(`${last}; not again: ${why}`, replicate);
  const hoursSince = (at: string) => (now.getTime() - Date.parse(at)) / HOUR_MS;
  const isOld = hoursSince(lastCopy.at) > MOST_COPY_AGE_HOURS;
  if (isOld || nextAt !== null && hoursSince(nextAt) > MOST_COPY_DELAY_HOURS) {
    const age = isOld ? `, more than ${MOST_COPY_AGE_HOURS} hours ago` : `, due again at ${nextAt}`;
    return warning(
      `${last}${age}${why === null ? "" : ` (${why})`}`,
      `See why it was left behind: ${JOBS}. Bring it up to date: ${replicate}`,
    );
  }
  return fine(nextAt === null ? last : `${last}, next at ${nextAt}`);
}

function checkRecoverable(status: Status): Finding {
  const { recoverable: { ok, found }, database } = status;
  if (ok) return fine(`restored and compared: ${found}`);
  if (!isStorageRead(status)) return NO_STORAGE;
  return database.ok
    ? warning(found, `Follow what is open, in order: ${requestLine("init")}`)
    : unknown(found);
}

function checkUnfinished({ unfinishedRestores, database }: Status): Finding {
  if (!database.ok) return unknown("not known while the database cannot be read");
  return unfinishedRestores.length === 0
    ? fine("no restore is half done")
    : critical(shorten(unfinishedRestores, "; "), "Restore again, as the message says.");
}

function checkMoments({ heldMoments: { ok, found, code }, database }: Status): Finding {
  if (!database.ok) return NO_TABLES;
  if (code !== undefined) return unknown(`could not be looked at: ${found}`);
  return ok ? fine(found) : warning(found, `End them now: ${requestLine("tick")}`);
}

function checkClock({ clock }: HealthFacts): Finding {
  if (clock === null) return NO_TABLES;
  return clock.installed ? fine(clock.found) : warning(clock.found, clock.next);
}

function checkSettings({ settingsProblems, database }: Status): Finding {
  if (settingsProblems.length === 0) return database.ok ? fine("all are followed") : NO_TABLES;
  const rows = [...new Set(settingsProblems.map(({ path }) => path.split(".")[0]!))];
  const told = settingsProblems.map(({ path, message }) => `${path}: ${message}`);
  return warning(
    `not followed: ${shorten(told, "; ")}`,
    `Set them right, or take them back: ${requestLine("update-config", { unset: rows })}`,
  );
}

function checkNotifications({ notifications, settings, database }: Status): Finding {
  const { ok, found, channels } = notifications;
  const isTold = channels.length > 0 || !settings.enableBackupNotifications;
  if (ok && isTold) {
    return database.ok ? fine(found) : unknown(`${found}; whether it arrives is in the tables`);
  }
  return warning(found, "Name a channel that can send: docs/notifications.md says how.");
}

/** The first of a list that may be long. */
function shorten(all: readonly string[], separator = ", "): string {
  const more = all.length > MOST_NAMED ? ` and ${all.length - MOST_NAMED} more` : "";
  return all.slice(0, MOST_NAMED).join(separator) + more;
}

function anyLost(backups: Status["backups"]): boolean {
  return Object.values(backups).some(({ lost }) => lost.missing.length + lost.replaced.length > 0);
}

/** Lost backups make the storage not ok, and it was read all the same. */
function isStorageRead({ storage, backups }: Status): boolean {
  return storage.ok || anyLost(backups);
}

function ofEach<T>(
  all: readonly T[],
  find: (one: T) => [name: string, found: Finding],
): Record<string, Finding> {
  return Object.fromEntries(all.map(find));
}

function fine(message: string): Finding {
  return { severity: "ok", message, recommendation: null };
}

function unknown(message: string, recommendation: string | null = null): Finding {
  return { severity: "unknown", message, recommendation };
}

function warning(message: string, recommendation: string | null): Finding {
  return { severity: "warning", message, recommendation };
}

function critical(message: string, recommendation: string): Finding {
  return { severity: "critical", message, recommendation };
}
