/**
 * Clears away what belongs to jobs that have ended and whose workers could not clear it away: keepers
 * of a moment, which hold back vacuum, scratch databases, the clock's own records, recovery points that
 * nobody concluded. Records executions that ran while the tables were out of reach.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Deps } from "../deps.ts";
import { dropScratchDatabases } from "../restore/scratch_database.ts";
import { concludeLeftPoints } from "../points/start_point.ts";
import { endStrayKeepers } from "./held_moments.ts";

/** What was cleared away, by kind; what failed is on the log and tried again with the next tick. */
export async function tidy(
  deps: Deps,
): Promise<Record<"keepers" | "scratch" | "runs" | "points" | "executions", string[]>> {
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
  };
}

/**
 * Executions that ran while the tables were out of reach: this process's at once, those of others, which only
 * storage knows, with one tick in half an hour, because that look costs requests.
 */
async function recordExecutions(deps: Deps): Promise<string[]> {
  const days = deps.clock.now().getUTCMinutes() % 30 === 0 ? 2 : 0;
  return (await deps.recovery.sync({ days })).executions;
}
