/**
 * What is the state of everything: settings, last and next backup, running jobs, storage, tables.
 *
 * @module
 */
import { outwardMessage, toBackupError } from "../core/errors.ts";
import type { Job } from "../core/job.ts";
import type { Settings } from "../core/settings.ts";
import type { Deps } from "./deps.ts";
import { listJobs } from "./list_jobs.ts";
import { type StoredBackup } from "../state/job_tables.ts";
import { readStoredBackups } from "./stored_backups.ts";

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
  settingsVersions: { version: number; changedAt: string; changedBy: string | null }[];
  database: Condition;
  storage: Condition & { location: string | null };
  backups: {
    database: {
      enabled: boolean;
      count: number;
      last: { backupId: string; completedAt: string; rawBytes: number } | null;
      nextDueAt: string | null;
      overdue: boolean;
    };
  };
  runningJobs: Job[];
}

export async function readStatus(deps: Deps): Promise<Status> {
  const { settings, fromTables } = await deps.settings();
  const database = await condition(deps, async () => {
    await deps.state.jobs.failInterrupted();
    return "reachable, tables there";
  });
  let backups: StoredBackup[] = [];
  let location: string | null = null;
  const storage = await condition(deps, async () => {
    location = (await deps.openStorage(settings)).location;
    try {
      backups = await readStoredBackups(deps, settings);
    } catch (error) {
      if (toBackupError(error).code !== "repository_missing") throw error;
      return "reachable; no repository yet";
    }
    return `${backups.length} backups`;
  });
  const overview = databaseOverview(settings, backups, deps.clock.now());
  return {
    healthy: database.ok && storage.ok && !overview.overdue,
    settings,
    settingsFrom: ["defaults", "environment", ...(fromTables ? ["backup_config"] : [])],
    settingsVersions: await versions(deps, fromTables),
    database,
    storage: { ...storage, location },
    backups: { database: overview },
    runningJobs: await runningJobs(deps, database.ok),
  };
}

async function condition(deps: Deps, look: () => Promise<string>): Promise<Condition> {
  try {
    return { ok: true, found: await look() };
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code === "internal") deps.reportError(failure, "status");
    const { code, hint } = failure;
    return {
      ok: false,
      found: `${code}: ${outwardMessage(failure)}${hint === undefined ? "" : ` ${hint}`}`,
    };
  }
}

function databaseOverview(settings: Settings, backups: StoredBackup[], now: Date) {
  const last = backups[0];
  const intervalMs = settings.databaseBackupInterval * 3_600_000;
  const due = last === undefined ? now : new Date(Date.parse(last.completedAt) + intervalMs);
  const lateAt = last === undefined
    ? now
    : new Date(Date.parse(last.completedAt) + 1.5 * intervalMs);
  return {
    enabled: settings.enableDatabaseBackup,
    count: backups.length,
    last: last === undefined
      ? null
      : { backupId: last.backupId, completedAt: last.completedAt, rawBytes: last.rawBytes },
    nextDueAt: settings.enableDatabaseBackup ? due.toISOString() : null,
    overdue: settings.enableDatabaseBackup && lateAt <= now,
  };
}

async function versions(deps: Deps, fromTables: boolean): Promise<Status["settingsVersions"]> {
  if (!fromTables) return [];
  const list = await deps.state.config.versions();
  return list.map(({ version, changedAt, changedBy }) => ({ version, changedAt, changedBy }));
}

async function runningJobs(deps: Deps, fromTables: boolean): Promise<Job[]> {
  if (!fromTables) return deps.jobs.all().filter((job) => job.status === "running");
  const pages = await Promise.all(
    (["backup", "restore", "verify"] as const).map((kind) =>
      listJobs(deps, { kind, status: "running", limit: 50, offset: 0 })
    ),
  );
  return pages.flatMap((page) => page.jobs);
}
