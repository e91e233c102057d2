/**
 * Clears away what belongs to jobs that have ended and whose workers could not clear it away: keepers
 * of a moment, which hold back vacuum, scratch databases, the clock's own records, recovery points that
 * nobody concluded. Records executions that ran while the tables were out of reach.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { JOB_KINDS } from "../../core/job.ts";
import { cleanStrayKeepers } from "../../dump/mod.ts";
import { connect } from "../../postgres/connect.ts";
import { databaseUrl } from "../database_access.ts";
import type { Deps } from "../deps.ts";
import { dropScratchDatabases } from "../restore/scratch_database.ts";
import { concludeLeftPoints } from "../points/start_point.ts";

/** Jobs that run at a time are few. */
const MOST_JOBS = 100;

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

async function endStrayKeepers(deps: Deps): Promise<string[]> {
  const lists = await Promise.all(
    JOB_KINDS.map((kind) =>
      deps.state.jobs.list({ kind, status: "running", limit: MOST_JOBS, offset: 0 })
    ),
  );
  const activeJobs = lists.flatMap(({ jobs }) => jobs.map(({ jobId }) => jobId));
  const session = await connect({
    url: databaseUrl(deps),
    applicationName: "supabase-backup",
    connectTimeoutMs: 8000,
  });
  try {
    return await cleanStrayKeepers(session, { activeJobs });
  } finally {
    await session.close();
  }
}
