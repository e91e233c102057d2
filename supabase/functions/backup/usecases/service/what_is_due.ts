/**
 * What should run by itself now: a pure function of the settings, of the latest runs and of the time. `tick`
 * starts by it and `status` tells by it.
 *
 * An interval is counted from the start of the latest run that was good, goes on or was stopped by somebody.
 * A failed run is tried again after 5, 15 and 45 minutes, and then when its interval has passed since the
 * last try. What has never run waits until the tables are ten minutes old: whoever has just set the service up
 * makes the first backup himself, and nothing stands in his way.
 *
 * A copy's interval ends earlier when a backup has ended since it began.
 *
 * @module
 */
import { JOB_TYPES, type JobType } from "../../core/job.ts";
import type { Settings } from "../../core/settings.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** Pauses before the tries after a failed run. */
const PAUSES_MS = [5 * MINUTE_MS, 15 * MINUTE_MS, 45 * MINUTE_MS];

/** The runs of one kind, as far as they matter here. */
export interface LatestRuns {
  /** Start of the latest one that was good, goes on or was stopped. */
  startedAt: Date | null;
  /** Whether one goes on, or waits to be started. */
  running: boolean;
  /** Runs that failed since then. */
  failures: number;
  /** Start and end of the latest of these. */
  failedStart: Date | null;
  failedEnd: Date | null;
}

/** No run at all. */
export const NEVER_RAN: LatestRuns = {
  ...{ startedAt: null, running: false, failures: 0 },
  ...{ failedStart: null, failedEnd: null },
};

/** When something runs next. */
export interface Due {
  /** Null when it does not run by itself. */
  dueAt: Date | null;
  isDue: boolean;
  /** Which try it is after failed ones: 0 for the run by its interval. */
  retry: number;
  /** Why it does not run by itself or not now; null when nothing stands against it. */
  why: string | null;
}

/** So long after the tables were made nothing begins that has never run. */
const FIRST_PAUSE_MS = 10 * MINUTE_MS;

/** Which setting switches a type of backup on. */
export const SWITCHES = {
  database: "enableDatabaseBackup",
  function: "enableFunctionBackup",
  config: "enableConfigBackup",
  secrets: "enableSecretsBackup",
  files: "enableFilesBackup",
} as const satisfies Record<JobType, keyof Settings>;

/** Hours between two backups of a type. */
export const INTERVALS = {
  database: "databaseBackupInterval",
  function: "functionBackupInterval",
  config: "configBackupInterval",
  secrets: "secretsBackupInterval",
  files: "filesBackupInterval",
} as const satisfies Record<JobType, keyof Settings>;

/** Hours between two runs of `cleanup`. */
const CLEANUP_HOURS = 24;

/** A copy is brought along when a backup has ended, and after so many hours in any case. */
const COPY_HOURS = 24;

/** What may be due. */
export interface DueWork {
  backups: Record<JobType, Due>;
  verification: Due;
  cleanup: Due;
  /** By the names of destinations, the one whose latest try is the longest ago first. */
  copies: Record<string, CopyDue>;
  /** Retention in each copy, by the names of destinations. */
  copyCleanups: Record<string, Due>;
}

/** When a copy is brought along next. */
export interface CopyDue extends Due {
  /** Replications to it that failed since the latest that was good, goes on or was stopped. */
  failures: number;
}

/** The latest runs of everything that may be due. */
export interface AllRuns {
  /** When the service's tables were made. */
  madeAt: Date;
  backups: Partial<Record<JobType, LatestRuns>>;
  verification: LatestRuns;
  cleanup: LatestRuns;
  /** By the names of destinations. */
  replications: Record<string, LatestRuns>;
  copyCleanups: Record<string, LatestRuns>;
  /** End of the latest backup that is complete. */
  lastBackupEnd: Date | null;
}

/** @param now by the clock that wrote the runs */
export function whatIsDue(settings: Settings, runs: AllRuns, now: Date): DueWork {
  const firstAt = runs.madeAt.getTime() + FIRST_PAUSE_MS;
  const dueBy = (latest: LatestRuns, hours: number) =>
    hasNeverRun(latest) && firstAt > now.getTime()
      ? at(firstAt, 0, now)
      : dueAfter(latest, hours, now);
  const backups = Object.fromEntries(JOB_TYPES.map((type) => {
    if (!settings[SWITCHES[type]]) return [type, switchedOff(SWITCHES[type])];
    return [type, dueBy(runs.backups[type] ?? NEVER_RAN, settings[INTERVALS[type]])];
  })) as DueWork["backups"];
  const hasBackup = Object.values(runs.backups).some((each) => each.startedAt !== null);
  const nothing = { dueAt: null, isDue: false, retry: 0, why: "there is no backup yet" };
  const copies = runs.lastBackupEnd === null
    ? Object.fromEntries(
      settings.destinations.map(({ name }) => [name, { ...nothing, failures: 0 }]),
    )
    : copiesDue(settings, { ...runs, lastBackupEnd: runs.lastBackupEnd }, now);
  return {
    backups,
    verification: !settings.enableBackupVerification
      ? switchedOff("enableBackupVerification")
      : hasBackup
      ? dueBy(runs.verification, settings.verificationInterval)
      : nothing,
    cleanup: hasBackup ? dueBy(runs.cleanup, CLEANUP_HOURS) : nothing,
    copies,
    copyCleanups: copyCleanupsDue(copies, runs, now),
  };
}

/** One replication at a time: while one goes on the others wait. */
function copiesDue(
  { destinations }: Pick<Settings, "destinations">,
  { replications, lastBackupEnd }: AllRuns & { lastBackupEnd: Date },
  now: Date,
): DueWork["copies"] {
  const [running] = Object.entries(replications).filter((each) => each[1].running);
  const next = (start: Date) => {
    const regular = start.getTime() + COPY_HOURS * HOUR_MS;
    return lastBackupEnd > start ? Math.min(lastBackupEnd.getTime(), regular) : regular;
  };
  // By the latest try, good or not: one that always fails is in nobody's way.
  const triedAt = (name: string) => {
    const { startedAt, failedStart } = replications[name] ?? NEVER_RAN;
    return Math.max(startedAt?.getTime() ?? 0, failedStart?.getTime() ?? 0);
  };
  const names = destinations.map(({ name }) => name).sort((a, b) => triedAt(a) - triedAt(b));
  return Object.fromEntries(names.map((name) => {
    const latest = replications[name] ?? NEVER_RAN;
    const due = { ...dueFrom(latest, next, now), failures: latest.failures };
    const waits = running !== undefined && running[0] !== name && due.isDue;
    return [name, waits ? { ...due, isDue: false, why: `the one to ${running[0]} goes on` } : due];
  }));
}

/** Nothing is freed in a copy while it is brought along: it waits for that, and for other cleanups. */
function copyCleanupsDue(
  copies: DueWork["copies"],
  { cleanup, copyCleanups, replications }: AllRuns,
  now: Date,
): DueWork["copyCleanups"] {
  const isBusy = cleanup.running || Object.values(copyCleanups).some(({ running }) => running);
  return Object.fromEntries(
    Object.entries(copies).map(([name, copy]) => {
      const copied = replications[name] ?? NEVER_RAN;
      if (copied.startedAt === null) {
        return [name, { dueAt: null, isDue: false, retry: 0, why: "nothing was copied there yet" }];
      }
      const due = dueAfter(copyCleanups[name] ?? NEVER_RAN, CLEANUP_HOURS, now);
      if (!due.isDue) return [name, due];
      const why = copied.running || copy.isDue
        ? "it is being copied to"
        : isBusy
        ? "another cleanup goes on"
        : null;
      return [name, { ...due, isDue: why === null, why }];
    }),
  );
}

function hasNeverRun({ startedAt, running, failures }: LatestRuns): boolean {
  return startedAt === null && !running && failures === 0;
}

function switchedOff(setting: string): Due {
  return { dueAt: null, isDue: false, retry: 0, why: `switched off by ${setting}` };
}

/** When the next run of something is due that runs every so many hours. */
export function dueAfter(runs: LatestRuns, hours: number, now: Date): Due {
  return dueFrom(runs, (start) => start.getTime() + hours * HOUR_MS, now);
}

/** @param next when an interval ends that began with a run */
function dueFrom(runs: LatestRuns, next: (start: Date) => number, now: Date): Due {
  const { startedAt, running, failures, failedStart, failedEnd } = runs;
  const regular = startedAt === null ? now.getTime() : next(startedAt);
  if (running) {
    return { dueAt: new Date(regular), isDue: false, retry: 0, why: "one goes on" };
  }
  if (failures === 0 || failedStart === null || failedEnd === null) return at(regular, 0, now);
  // Every fourth try is one by the interval; the others follow a failed one.
  const retry = failures % (PAUSES_MS.length + 1);
  const nextInterval = next(failedStart);
  if (retry === 0) return at(Math.max(regular, nextInterval), 0, now);
  const again = failedEnd.getTime() + PAUSES_MS[retry - 1]!;
  // Where the interval is the shorter of the two there is nothing to try again in between.
  return at(Math.max(regular, Math.min(again, nextInterval)), retry, now);
}

function at(ms: number, retry: number, now: Date): Due {
  return { dueAt: new Date(ms), isDue: ms <= now.getTime(), retry, why: null };
}
