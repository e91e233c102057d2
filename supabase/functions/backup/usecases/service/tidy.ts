/**
 * Clears away what belongs to jobs that have ended and whose workers could not clear it away: keepers
 * of a moment, which hold back vacuum, scratch databases, the clock's own records, recovery points that
 * nobody concluded. Records executions that ran while the tables were out of reach, and what storage has
 * that the tables do not know.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Repository } from "../../repository/mod.ts";
import type { Deps } from "../deps.ts";
import { dropScratchDatabases } from "../restore/scratch_database.ts";
import { syncPoints } from "../points/stored_points.ts";
import { syncBackups } from "./stored_backups.ts";
import { concludeLeftPoints } from "../points/start_point.ts";
import { endStrayKeepers } from "./held_moments.ts";
import { tellOfUnreadable } from "./unreadable_records.ts";

/** Codes of a storage, a key or a repository that nobody has set up yet: `init` and `status` say so. */
const NOT_SET_UP: ReadonlySet<string> = new Set([
  "invalid_config",
  "key_missing",
  "repository_missing",
]);

/** What was cleared away, by kind; what failed is on the log and tried again with the next tick. */
export async function tidy(
  deps: Deps,
): Promise<Record<"keepers" | "scratch" | "runs" | "points" | "executions" | "stored", string[]>> {
  const attempt = async <T>(about: string, work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      deps.reportError(toBackupError(error), `tidy: ${about}`);
      return otherwise;
    }
  };
  const stored = await attempt("storage", () => openWhenDue(deps), null);
  return {
    keepers: await attempt("keepers", () => endStrayKeepers(deps), []),
    scratch: await attempt("scratch databases", () => dropScratchDatabases(deps), []),
    runs: await attempt("the clock's records", () => deps.schedule.prune(), []),
    points: await attempt("recovery points", () => concludeLeftPoints(deps), []),
    executions: await attempt("executions", () => recordExecutions(deps, stored), []),
    stored: await attempt("rows of what is stored", () => addStored(deps, stored), []),
  };
}

/** The repository with one tick in half an hour, because looks at it cost requests; null where there is none. */
async function openWhenDue(deps: Deps): Promise<Repository | null> {
  if (deps.clock.now().getUTCMinutes() % 30 !== 0) return null;
  try {
    return await deps.openRepository((await deps.settings()).settings);
  } catch (error) {
    if (NOT_SET_UP.has(toBackupError(error).code)) return null;
    throw error;
  }
}

/**
 * Backups and points that storage has and the tables do not know: those that `init` left, or that another
 * program made.
 */
async function addStored(deps: Deps, repository: Repository | null): Promise<string[]> {
  if (repository === null) return [];
  const backups = await syncBackups(deps, repository);
  const points = await syncPoints(deps, repository);
  await tellOfUnreadable(deps, {
    unreadable: [...backups.unreadable, ...points.unreadable],
    left: backups.left + points.left,
  });
  return [...backups.added, ...points.added];
}

/** Executions that ran while the tables were out of reach: this process's, and those that only storage knows. */
async function recordExecutions(deps: Deps, repository: Repository | null): Promise<string[]> {
  return (await deps.recovery.sync({ days: repository === null ? 0 : 2 })).executions;
}
