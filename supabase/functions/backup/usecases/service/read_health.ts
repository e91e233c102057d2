/**
 * How well the service is, as checks with a severity each: what monitors and people ask first. It answers with
 * the database down, by what is in storage, with the storage down, and with neither.
 *
 * @module
 */
import { type BackupError, toBackupError } from "../../core/errors.ts";
import type { Deps } from "../deps.ts";
import {
  type HealthCheck,
  healthChecks,
  type Severity,
  unknownChecks,
  worstOf,
} from "./health_checks.ts";
import { inTime } from "./in_time.ts";
import { readStatus, type Status } from "./read_status.ts";

/** So long the storage may take: its own tries go on for longer than somebody waits for this answer. */
const STORAGE_PATIENCE_MS = 10_000;

/** So long one look at the database may take: a table that somebody holds is waited for without end. */
const DATABASE_PATIENCE_MS = 8000;

/** See the module. */
export interface Health {
  /** The worst of all checks. */
  severity: Severity;
  checkedAt: string;
  checks: HealthCheck[];
}

/**
 * Changes nothing but what every look does: jobs whose process is gone are marked failed, and backups that are
 * found to have expired are marked as freed.
 *
 * @throws `internal`
 */
export async function readHealth(deps: Deps): Promise<Health> {
  const checks = await readChecks(deps);
  return { severity: worstOf(checks), checkedAt: deps.clock.now().toISOString(), checks };
}

async function readChecks(deps: Deps): Promise<HealthCheck[]> {
  let status: Status;
  try {
    status = await readStatus(deps, {
      storagePatienceMs: STORAGE_PATIENCE_MS,
      databasePatienceMs: DATABASE_PATIENCE_MS,
    });
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code === "internal") throw failure;
    return unknownChecks(failure);
  }
  const failures: BackupError[] = [];
  const ofTables = async <T>(read: () => Promise<T> | null): Promise<T | null> => {
    if (!status.database.ok) return null;
    try {
      const coming = read();
      return coming === null ? null : await inTime("database", DATABASE_PATIENCE_MS, coming);
    } catch (error) {
      failures.push(toBackupError(error));
      return null;
    }
  };
  const { location } = status.storage;
  const [integrity, clock] = await Promise.all([
    ofTables(() => location === null ? null : deps.state.verifications.integrityAt(location)),
    ofTables(() => deps.schedule.read()),
  ]);
  for (const failure of failures) deps.reportError(failure, "health");
  const gone = failures.find(({ code }) => code === "database_unreachable");
  if (gone !== undefined) {
    status = { ...status, database: { ok: false, found: `${gone.code}: ${gone.message}` } };
  }
  return healthChecks({ now: deps.clock.now(), status, integrity, clock });
}
