/**
 * What is the state of everything: settings, last and next backup, running jobs, storage, tables.
 *
 * @module
 */
import { BackupError, outwardMessage, toBackupError } from "../../core/errors.ts";
import { typeOfJobId } from "../../core/ids.ts";
import { type Job, JOB_KINDS, JOB_TYPES, type JobType } from "../../core/job.ts";
import type { Settings } from "../../core/settings.ts";
import type { SettingsProblem } from "../../core/settings_in_force.ts";
import { unlessAborted } from "../../core/unless_aborted.ts";
import type { Repository } from "../../repository/mod.ts";
import type { StoredBackup } from "../../state/job_tables.ts";
import type { Deps } from "../deps.ts";
import { listJobs } from "../jobs/list_jobs.ts";
import { State } from "../../state/state.ts";
import { findShrunk } from "../backup/find_shrunk.ts";
import { findLostBackups, type LostBackups, lostError } from "../restore/lost_backups.ts";
import { findFirstBackup, type Finding, findKeySaved, findRestoreTest } from "./recoverability.ts";
import { type NotificationStatus, readNotifications } from "../people/read_notifications.ts";
import { describeHeldMoments } from "./held_moments.ts";
import { type NewestBackups, readNewest } from "./newest_backups.ts";
import { readDue } from "./read_due.ts";
import { toStoredList } from "./stored_backups.ts";
import { findUnfinishedRestores, halfRestoredBackup } from "./unfinished_restores.ts";
import { type Due, type DueWork, INTERVALS, SWITCHES } from "./what_is_due.ts";

/** A part of the service as it is now. */
export interface Condition {
  ok: boolean;
  found: string;
}

/** See the module. Secrets are references in the settings and never values. */
export interface Status {
  healthy: boolean;
  settings: Settings;
  settingsFrom: string[];
  settingsVersions: {
    version: number;
    changedAt: string;
    changedBy: string | null;
    /** Names of the settings that it changed. */
    changed: string[];
  }[];
  /** Rows of the settings that are wrong and not followed. */
  settingsProblems: SettingsProblem[];
  notifications: NotificationStatus;
  database: Condition;
  storage: Condition & { location: string | null };
  /** Who holds the moments of backups; a keeper that has outlived its job is not ok. */
  heldMoments: Condition;
  /** Whether the backups could be used: key kept outside, a backup, nothing lost, a restore tried. */
  recoverable: Condition;
  backups: Record<JobType, TypeOverview>;
  /** What else runs by itself. */
  verification: NextRun;
  cleanup: NextRun;
  /** Copies of the backups in further destinations. */
  destinations: CopyOverview[];
  runningJobs: Job[];
  /** Restores of the database that have begun, are not complete, and are worked on by no job; in words. */
  unfinishedRestores: string[];
}

/** When something runs next by itself; null with the reason when it does not. */
export interface NextRun {
  nextDueAt: string | null;
  whyNotDue: string | null;
}

/** The copy in one destination. */
export interface CopyOverview {
  name: string;
  type: string;
  /** The latest good replication; null while there is none. */
  lastCopy: { jobId: string; at: string } | null;
  /** Replications that failed since then; null while the tables cannot be read. */
  failures: number | null;
  nextAt: string | null;
  /** Why it is not brought along by itself, or not now; null when nothing stands against it. */
  why: string | null;
}

/** The backups of one type. */
export interface TypeOverview {
  enabled: boolean;
  count: number;
  last: { backupId: string; completedAt: string; rawBytes: number; partial: boolean } | null;
  nextDueAt: string | null;
  /** Why it does not run by itself, or not now; null when nothing stands against it. */
  whyNotDue: string | null;
  overdue: boolean;
  /** The newest backup holds less than half of the one before it: both in words; else null. */
  shrunk: string | null;
  /** The newest backup was made of a half restored database: in words; else null. */
  halfRestored: string | null;
  /** What the tables know and storage does not have so. */
  lost: LostBackups;
}

/** How {@linkcode readStatus} goes about it. */
export interface ReadStatusOptions {
  /** The storage is out of reach when it has not answered by then. @default as long as its own tries go on */
  storagePatienceMs?: number;
}

export async function readStatus(
  asked: Deps,
  { storagePatienceMs }: ReadStatusOptions = {},
): Promise<Status> {
  const { deps, database } = await tryDatabase(asked);
  const { settings, fromTables, problems } = await deps.settings();
  const heldMoments = database.ok
    ? condition(deps, () => describeHeldMoments(deps))
    : Promise.resolve({ ok: true, found: "unknown while the tables cannot be read" });
  const stored = await readStorage(deps, settings, storagePatienceMs);
  const { storage } = stored;
  const moments = await heldMoments;
  const now = deps.clock.now();
  const due = await readDue(deps, settings);
  const backups = Object.fromEntries(
    JOB_TYPES.map((type) => [
      type,
      { ...overviewOf(type, { settings, stored, now }), ...nextRun(due?.backups[type]) },
    ]),
  ) as Status["backups"];
  const isLate = Object.values(backups).some(({ overdue }) => overdue);
  const isLessThanWhole = Object.values(backups)
    .some(({ shrunk, halfRestored }) => shrunk !== null || halfRestored !== null);
  const running = await runningJobs(deps, database.ok);
  const unfinishedRestores = database.ok ? await findUnfinishedRestores(deps, running) : [];
  return {
    healthy: database.ok && storage.ok && moments.ok && !isLate && !isLessThanWhole &&
      problems.length === 0 && unfinishedRestores.length === 0,
    settings,
    settingsFrom: ["defaults", "environment", ...(fromTables ? ["backup_config"] : [])],
    settingsVersions: await versions(deps, fromTables),
    settingsProblems: problems,
    notifications: await readNotifications(deps, settings),
    database,
    storage,
    heldMoments: moments,
    recoverable: await findRecoverable(deps, settings, stored),
    backups,
    verification: nextRun(due?.verification),
    cleanup: nextRun(due?.cleanup),
    destinations: await copies(deps, settings, due),
    runningJobs: running,
    unfinishedRestores,
  };
}

/**
 * Whether the database answers. A connection that nobody takes costs seconds: each further question would wait
 * as long, so that the answer is given without the tables then.
 */
async function tryDatabase(deps: Deps): Promise<{ deps: Deps; database: Condition }> {
  let isGone = false;
  const [inForce, database] = await Promise.all([
    deps.settings(),
    condition(deps, async () => {
      try {
        await deps.state.jobs.failInterrupted();
      } catch (error) {
        isGone = toBackupError(error).code === "database_unreachable";
        throw error;
      }
      return "reachable, tables there";
    }),
  ]);
  const settings = () => Promise.resolve(inForce);
  if (!isGone) return { deps: { ...deps, settings }, database };
  const without = () => Promise.resolve({ ...inForce, fromTables: false });
  return { deps: { ...deps, settings: without, state: new State(null) }, database };
}

/** @param due undefined while the tables are out of reach */
function nextRun(due: Due | undefined): NextRun {
  if (due === undefined) return { nextDueAt: null, whyNotDue: "the tables cannot be read" };
  return { nextDueAt: due.dueAt?.toISOString() ?? null, whyNotDue: due.why };
}

async function copies(
  deps: Deps,
  { destinations }: Settings,
  due: DueWork | null,
): Promise<CopyOverview[]> {
  const last = due === null || destinations.length === 0
    ? {}
    : await deps.state.latestRuns.lastCopies();
  return destinations.map(({ name, type }) => {
    const { nextDueAt: nextAt, whyNotDue: why } = nextRun(due?.copies[name]);
    const failures = due?.copies[name]?.failures ?? null;
    return { name, type, lastCopy: last[name] ?? null, failures, nextAt, why };
  });
}

interface StoredFacts {
  storage: Status["storage"];
  repository: Repository | null;
  newest: NewestBackups | null;
  /** Rows of the newest, newest first. */
  backups: StoredBackup[];
  lost: LostBackups;
}

async function readStorage(
  deps: Deps,
  settings: Settings,
  patienceMs: number | undefined,
): Promise<StoredFacts> {
  const facts: Omit<StoredFacts, "storage"> = {
    repository: null,
    newest: null,
    backups: [],
    lost: { missing: [], replaced: [] },
  };
  let location: string | null = null;
  const look = async () => {
    location = (await deps.openStorage(settings)).location;
    facts.repository = await openIfThere(deps, settings);
    const { repository } = facts;
    const newest = repository === null ? null : await readNewest(repository);
    facts.newest = newest;
    facts.backups = newest === null ? [] : toStoredList(newest.list, location);
    facts.lost = await findLostBackups(deps, { location, stored: newest });
    const error = lostError(facts.lost);
    if (error !== null) throw error;
    return newest === null
      ? "reachable; no repository yet"
      : `${newest.ids.length - newest.list.damaged.length} backups`;
  };
  const storage = await condition(
    deps,
    () => patienceMs === undefined ? look() : within(patienceMs, look()),
  );
  return { ...facts, storage: { ...storage, location } };
}

/** @throws `storage_unreachable` when it has not come by then */
async function within<T>(patienceMs: number, coming: Promise<T>): Promise<T> {
  const patience = new AbortController();
  const timer = setTimeout(() => {
    const message = `Cannot read the storage: it did not answer in ${patienceMs / 1000} s`;
    patience.abort(new BackupError("storage_unreachable", message));
  }, patienceMs);
  try {
    return await unlessAborted(coming, patience.signal);
  } finally {
    clearTimeout(timer);
  }
}

async function openIfThere(deps: Deps, settings: Settings): Promise<Repository | null> {
  try {
    return await deps.openRepository(settings);
  } catch (error) {
    if (toBackupError(error).code !== "repository_missing") throw error;
    return null;
  }
}

async function findRecoverable(
  deps: Deps,
  settings: Settings,
  { repository, newest, storage }: StoredFacts,
): Promise<Condition> {
  if (repository === null || newest === null || !storage.ok || storage.location === null) {
    return { ok: false, found: "not recoverable yet: see storage" };
  }
  const { location } = storage;
  let tested: Finding;
  try {
    tested = await findRestoreTest(deps, location);
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    tested = {
      done: false,
      found: "the tables do not say whether a restore was tried",
      next: null,
    };
  }
  const open = [findKeySaved(settings, repository), findFirstBackup(newest), tested]
    .filter((one) => !one.done);
  return open.length === 0
    ? { ok: true, found: tested.found }
    : { ok: false, found: open.map((one) => one.found).join("; ") };
}

async function condition(
  deps: Deps,
  look: () => Promise<string | Condition>,
): Promise<Condition> {
  try {
    const found = await look();
    return typeof found === "string" ? { ok: true, found } : found;
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code === "internal") deps.reportError(failure, "status");
    const { code, hint } = failure;
    return {
      ok: false,
      found: `${code}: ${outwardMessage(failure)}${hint === undefined ? "" : `. ${hint}`}`,
    };
  }
}

function overviewOf(
  type: JobType,
  { settings, stored, now }: { settings: Settings; stored: StoredFacts; now: Date },
): Omit<TypeOverview, keyof NextRun> {
  const isOfType = (id: string) => typeOfJobId(id) === type;
  const { ids, list } = stored.newest ?? { ids: [], list: { backups: [], damaged: [] } };
  const damaged = list.damaged.filter(({ backupId }) => isOfType(backupId));
  const backups = stored.backups.filter(({ backupId }) => isOfType(backupId));
  // A restore's way back is listed and is not what was asked for on time.
  const last = backups.find((backup) => !backup.backupId.startsWith("safety_"));
  const enabled = settings[SWITCHES[type]];
  const intervalMs = settings[INTERVALS[type]] * 3_600_000;
  const lateAt = last === undefined
    ? now
    : new Date(Date.parse(last.completedAt) + 1.5 * intervalMs);
  // What was never saved here may have nothing to save it with; without the database there is no backup.
  const isExpected = type === "database" || last !== undefined;
  return {
    enabled,
    count: ids.filter(isOfType).length - damaged.length,
    last: last === undefined ? null : {
      backupId: last.backupId,
      completedAt: last.completedAt,
      rawBytes: last.rawBytes,
      partial: last.result.partial === true,
    },
    overdue: enabled && isExpected && lateAt <= now,
    shrunk: findShrunk(list.backups, type)?.found ?? null,
    halfRestored: type === "database" ? halfRestoredBackup(list.backups) : null,
    lost: {
      missing: stored.lost.missing.filter(isOfType),
      replaced: stored.lost.replaced.filter(isOfType),
    },
  };
}

async function versions(deps: Deps, fromTables: boolean): Promise<Status["settingsVersions"]> {
  if (!fromTables) return [];
  const list = await deps.state.config.versions();
  return list.map(({ settings: _, ...version }) => version);
}

async function runningJobs(deps: Deps, fromTables: boolean): Promise<Job[]> {
  if (!fromTables) return deps.jobs.all().filter((job) => job.status === "running");
  const pages = await Promise.all(
    JOB_KINDS.map((kind) => listJobs(deps, { kind, status: "running", limit: 50, offset: 0 })),
  );
  return pages.flatMap((page) => page.jobs);
}
