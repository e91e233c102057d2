/**
 * How well the service is, as checks with a severity each: what monitors and people ask first. It answers with
 * the database down, by what is in storage, with the storage down, and with neither.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Deps } from "../deps.ts";
import { type HealthCheck, healthChecks, type Severity, worstOf } from "./health_checks.ts";
import { readStatus, type Status } from "./read_status.ts";

/** So long the storage may take: its own tries go on for longer than somebody waits for this answer. */
const STORAGE_PATIENCE_MS = 5000;

/** See the module. */
export interface Health {
  /** The worst of all checks. */
  severity: Severity;
  checkedAt: string;
  checks: HealthCheck[];
}

/** Changes nothing, but that jobs whose process is gone are marked failed, as every look does. */
export async function readHealth(deps: Deps): Promise<Health> {
  const status = await readStatus(deps, { storagePatienceMs: STORAGE_PATIENCE_MS });
  const now = deps.clock.now();
  const [integrity, clock] = await Promise.all([
    ofTables(
      deps,
      status,
      ({ location }) => location === null ? null : deps.state.verifications.integrityAt(location),
    ),
    ofTables(deps, status, () => deps.schedule.read()),
  ]);
  const checks = healthChecks({ now, status, integrity, clock });
  return { severity: worstOf(checks), checkedAt: now.toISOString(), checks };
}

/** Null while the tables cannot be read, which has a check of its own. */
async function ofTables<T>(
  deps: Deps,
  { database, storage }: Status,
  read: (storage: Status["storage"]) => Promise<T> | null,
): Promise<T | null> {
  if (!database.ok) return null;
  try {
    return await read(storage);
  } catch (error) {
    deps.reportError(toBackupError(error), "health");
    return null;
  }
}
