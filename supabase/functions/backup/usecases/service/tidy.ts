/**
 * Clears away what belongs to jobs that have ended and whose workers could not clear it away: keepers
 * of a moment, which hold back vacuum, scratch databases, the clock's own records, recovery points that
 * nobody concluded. Records executions that ran while the tables were out of reach, and what storage has
 * that the tables do not know.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Deps } from "../deps.ts";
import { dropScratchDatabases } from "../restore/scratch_database.ts";
import { syncPoints } from "../points/stored_points.ts";
import { syncBackups } from "./stored_backups.ts";
import { concludeLeftPoints } from "../points/start_point.ts";
import { endStrayKeepers } from "./held_moments.ts";

/** What was cleared away, by kind; what failed is on the log and tried again with the next tick. */
export async function tidy(
  deps: Deps,
): Promise<Record<"keepers" | "scratch" | "runs" | "points" | "executions" | "stored", string[]>> {
  const attempt = async (about: string, work: () => Promise<string[]>) => {
    try {
      return await work();
    } catch (error) {
      deps.reportError(toBackupError(error), `tidy: ${about}`);
      return [];
    }
  };
  return {
    keepers: await attempt("keepers", () => endStrayKeepers(deps)),
    scratch: await attempt("scratch databases", () => dropScratchDatabases(deps)),
    runs: await attempt("the clock's records", () => deps.schedule.prune()),
    points: await attempt("recovery points", () => concludeLeftPoints(deps)),
    executions: await attempt("executions", () => recordExecutions(deps)),
    stored: await attempt("rows of what is stored", () => addStored(deps)),
  };
}

/**
 * Backups and points that storage has and the tables do not know: those that `init` left, or that another
 * program made. With one tick in half an hour, because that look costs requests.
 */
async function addStored(deps: Deps): Promise<string[]> {
  if (!isHalfHour(deps)) return [];
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const backups = await syncBackups(deps, repository);
  const points = await syncPoints(deps, repository);
  return [...backups.added, ...points.added];
}

function isHalfHour({ clock }: Deps): boolean {
  return clock.now().getUTCMinutes() % 30 === 0;
}

/**
 * Executions that ran while the tables were out of reach: this process's at once, those of others, which only
 * storage knows, with one tick in half an hour, because that look costs requests.
 */
async function recordExecutions(deps: Deps): Promise<string[]> {
  const days = isHalfHour(deps) ? 2 : 0;
  return (await deps.recovery.sync({ days })).executions;
}
