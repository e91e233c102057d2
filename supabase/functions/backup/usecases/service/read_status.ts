/**
 * What is the state of everything: settings, last and next backup, running jobs, storage, tables.
 *
 * @module
 */
import { BackupError, outwardMessage, toBackupError } from "../../core/errors.ts";
import { typeOfJobId } from "../../core/ids.ts";
import { type Job, JOB_KINDS, JOB_TYPES, type JobType } from "../../core/job.ts";
import type { Settings } from "../../core/settings.ts";
import { settingsInForce, type SettingsProblem } from "../../core/settings_in_force.ts";
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
import { inTime } from "./in_time.ts";
import { type NewestBackups, readNewest } from "./newest_backups.ts";
import { readDue } from "./read_due.ts";
import { toStoredList } from "./stored_backups.ts";
import { findUnfinishedRestores, halfRestoredBackup } from "./unfinished_restores.ts";
import { type Due, type DueWork, INTERVALS, SWITCHES } from "./what_is_due.ts";

/** A part of the service as it is now. */
export interface Condition {
  ok: boolean;
  found: string;
  /** Of the error that stood in the way of looking. */
  code?: string;
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
  /** The database is out of reach when one look at it has taken so long. @default as long as it takes */
  databasePatienceMs?: number;
}

/** @throws `invalid_config` as `Deps.settings`, and the `database_*` codes of tables that refuse to be read */
export async function readStatus(
  asked: Deps,
  { storagePatienceMs, databasePatienceMs }: ReadStatusOptions = {},
): Promise<Status> {
  const { deps, database } = await tryDatabase(asked, databasePatienceMs);
  const { settings, fromTables, problems } = await deps.settings();
  const heldMoments = database.ok
    ? condition(deps, () => inTime("database", databasePatienceMs, describeHeldMoments(deps)))
    : Promise.resolve({ ok: true, found: "unknown while the tables cannot be read" });
  const stored = await readStorage(deps, settings, storagePatienceMs);
  const { storage } = stored;
  const moments = await heldMoments;
  const { facts, reached } = await readInTime(
    { deps, database, patienceMs: databasePatienceMs },
    (by) => readTables(by, { settings, stored }),
  );
  const now = deps.clock.now();
  const backups = Object.fromEntries(
    JOB_TYPES.map((type) => [
      type,
      { ...overviewOf(type, { settings, stored, now }), ...nextRun(facts.due?.backups[type]) },
    ]),
  ) as Status["backups"];
  const isLate = Object.values(backups).some(({ overdue }) => overdue);
  const isLessThanWhole = Object.values(backups)
    .some(({ shrunk, halfRestored }) => shrunk !== null || halfRestored !== null);
  const { due, unfinishedRestores } = facts;
  return {
    healthy: reached.ok && storage.ok && moments.ok && !isLate && !isLessThanWhole &&
      problems.length === 0 && unfinishedRestores.length === 0,
    settings,
    settingsFrom: ["defaults", "environment", ...(fromTables ? ["backup_config"] : [])],
    settingsVersions: facts.settingsVersions,
    settingsProblems: problems,
    notifications: facts.notifications,
    database: reached,
    storage,
    heldMoments: moments,
    recoverable: facts.recoverable,
    backups,
    verification: nextRun(due?.verification),
    cleanup: nextRun(due?.cleanup),
    destinations: facts.destinations,
    runningJobs: facts.runningJobs,
    unfinishedRestores,
  };
}

/** What the tables say beside the settings, as far as they can be read. */
interface TableFacts extends
  Pick<
    Status,
    | "settingsVersions"
    | "notifications"
    | "recoverable"
    | "destinations"
    | "runningJobs"
    | "unfinishedRestores"
  > {
  due: DueWork | null;
}

/** How the tables are read. */
interface TableAccess {
  deps: Deps;
  database: Condition;
}

async function readTables(
  { deps, database }: TableAccess,
  { settings, stored }: { settings: Settings; stored: StoredFacts },
): Promise<TableFacts> {
  const { fromTables } = await deps.settings();
  const due = await readDue(deps, settings);
  const running = await runningJobs(deps, database.ok);
  return {
    due,
    runningJobs: running,
    unfinishedRestores: database.ok ? await findUnfinishedRestores(deps, running) : [],
    settingsVersions: await versions(deps, fromTables),
    notifications: await readNotifications(deps, settings),
    recoverable: await findRecoverable(deps, settings, stored),
    destinations: await copies(deps, settings, due),
  };
}

/** Reads the tables; as if they were not there when they stop to answer meanwhile. */
async function readInTime(
  { deps, database, patienceMs }: TableAccess & { patienceMs: number | undefined },
  read: (by: TableAccess) => Promise<TableFacts>,
): Promise<{ facts: TableFacts; reached: Condition }> {
  const reading = read({ deps, database });
  let late: BackupError;
  try {
    return { facts: await inTime("database", patienceMs, reading), reached: database };
  } catch (error) {
    late = toBackupError(error);
    if (late.code !== "database_unreachable") throw late;
  }
  const reached = await condition(deps, () => Promise.reject(late));
  return { facts: await read({ deps: await withoutTables(deps), database: reached }), reached };
}

/**
 * Whether the database answers. A connection that nobody takes costs seconds, and so does a table that somebody
 * holds: each further question would wait as long, so that the answer is given without the tables then.
 */
async function tryDatabase(deps: Deps, patienceMs: number | undefined): Promise<TableAccess> {
  let isGone = false;
  const reading = readSettings(deps, patienceMs);
  const [{ inForce }, database] = await Promise.all([
    reading,
    condition(deps, async () => {
      try {
        const [{ late }] = await Promise.all([
          reading,
          inTime("database", patienceMs, deps.state.jobs.failInterrupted()),
        ]);
        if (late !== null) throw late;
      } catch (error) {
        isGone = saysNothing(toBackupError(error));
        throw error;
      }
      return "reachable, tables there";
    }),
  ]);
  const known = { ...deps, settings: () => Promise.resolve(inForce) };
  return { deps: isGone ? await withoutTables(known) : known, database };
}

/** By the environment alone, and why, when the tables do not answer in time. */
async function readSettings(
  deps: Deps,
  patienceMs: number | undefined,
): Promise<{ inForce: Awaited<ReturnType<Deps["settings"]>>; late: BackupError | null }> {
  try {
    return { inForce: await inTime("database", patienceMs, deps.settings()), late: null };
  } catch (error) {
    const late = toBackupError(error);
    if (late.code !== "database_unreachable") throw late;
    const byEnvironment = settingsInForce(deps.environment.settings, {});
    return { inForce: { ...byEnvironment, fromTables: false }, late };
  }
}

async function withoutTables(deps: Deps): Promise<Deps> {
  const inForce = { ...await deps.settings(), fromTables: false };
  return { ...deps, settings: () => Promise.resolve(inForce), state: new State(null) };
}

/** SQLSTATE of a statement that ran into its time limit. */
const CANCELED = "57014";

/** Whether the next question would be waited for in vain, too. */
function saysNothing({ code, details }: BackupError): boolean {
  return code === "database_unreachable" || code === "lock_timeout" ||
    details?.sqlState === CANCELED;
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
  const storage = await condition(deps, () => inTime("storage", patienceMs, look()));
  return { ...facts, storage: { ...storage, location } };
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
      ...{ ok: false, code },
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
