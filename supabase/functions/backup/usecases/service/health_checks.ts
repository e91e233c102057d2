/**
 * What the state of the service means: a pure function from what was found to checks, each with how bad it is
 * and what to do. Nothing is looked at here, so what was not found out is `unknown`, never `ok`.
 *
 * @module
 */
import { JOB_TYPES, type JobType } from "../../core/job.ts";
import { requestLine } from "../../core/request_line.ts";
import type { ScheduleState } from "../deps.ts";
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

const TEST = 'curl -s "$URL?action=test" -H "apikey: $KEY"';
const JOBS = 'curl -s "$URL?action=jobs" -H "apikey: $KEY"';

const NO_TABLES = unknown("not known while the tables cannot be read");
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
    ...ofEach(status.destinations, (copy) => [`copy-${copy.name}`, checkCopy(status, copy)]),
    "restore-capability": checkRecoverable(status),
    "unfinished-restores": checkUnfinished(status),
    "held-moments": checkMoments(status),
    clock: checkClock(facts),
    settings: checkSettings(status),
    notifications: checkNotifications(status),
  };
  return Object.entries(found).map(([name, finding]) => ({ name, ...finding }));
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
  const why = whyNotDue === null ? "" : ` (${whyNotDue})`;
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
  return fine(nextDueAt === null ? made : `${made}, next at ${nextDueAt}`);
}

function ofNewest(
  status: Status,
  find: (of: TypeOverview) => string | null,
  words: { fine: string; recommendation: string },
): Finding {
  if (!isStorageRead(status)) return NO_STORAGE;
  const found = JOB_TYPES.flatMap((type) => find(status.backups[type]) ?? []);
  return found.length === 0 ? fine(words.fine) : warning(found.join("; "), words.recommendation);
}

function checkIntegrity({ now, status, integrity }: HealthFacts): Finding {
  if (integrity === null) return status.storage.location === null ? NO_STORAGE : NO_TABLES;
  const { lastAt, damaged } = integrity;
  if (damaged.length > 0) {
    return critical(
      `verification found damage in ${damaged.join(", ")}`,
      `Restore from another backup or copy; a full replication mends it: ${
        requestLine("replicate", { level: "full" })
      }`,
    );
  }
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

function checkCopy({ database }: Status, copy: CopyOverview): Finding {
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
    : critical(unfinishedRestores.join("; "), "Restore again, as the message says.");
}

function checkMoments({ heldMoments: { ok, found }, database }: Status): Finding {
  if (!database.ok) return unknown(found);
  return ok ? fine(found) : warning(found, `End them now: ${requestLine("tick")}`);
}

function checkClock({ clock }: HealthFacts): Finding {
  if (clock === null) return NO_TABLES;
  return clock.installed ? fine(clock.found) : warning(clock.found, clock.next);
}

function checkSettings({ settingsProblems }: Status): Finding {
  return settingsProblems.length === 0 ? fine("all are followed") : warning(
    `not followed: ${
      settingsProblems.map(({ path, message }) => `${path}: ${message}`).join("; ")
    }`,
    `Change them: ${requestLine("update-config", { updates: {} })}`,
  );
}

function checkNotifications({ notifications, settings }: Status): Finding {
  const { ok, found, channels } = notifications;
  const isTold = channels.length > 0 || !settings.enableBackupNotifications;
  return ok && isTold
    ? fine(found)
    : warning(found, "Name a channel that can send: docs/notifications.md says how.");
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
