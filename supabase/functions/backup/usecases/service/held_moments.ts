/**
 * Who holds moments of backups in the database, and who does it for no job any more: that holds back VACUUM.
 *
 * @module
 */
import { JOB_KINDS } from "../../core/job.ts";
import {
  cleanStrayKeepers,
  findStrayKeepers,
  type FoundHolder,
  listKeepers,
} from "../../dump/mod.ts";
import { connect } from "../../postgres/connect.ts";
import type { Session } from "../../postgres/session.ts";
import { databaseUrl } from "../database_access.ts";
import type { Deps } from "../deps.ts";

/** Jobs that run at a time are few. */
const MOST_JOBS = 100;

/** Moments that are held, in words; not `ok` when a keeper has outlived its job. */
export async function describeHeldMoments(deps: Deps): Promise<{ ok: boolean; found: string }> {
  const { strayGraceSeconds: graceSeconds } = deps;
  return await withSession(deps, async (session) => {
    const activeJobs = await findActiveJobs(deps);
    const strays = await findStrayKeepers(session, { graceSeconds, activeJobs });
    if (strays.length > 0) {
      return {
        ok: false,
        found: `keepers of jobs that are over hold back VACUUM: ${describe(strays)}; ` +
          "the next tick ends them",
      };
    }
    const held = await listKeepers(session);
    return { ok: true, found: held.length === 0 ? "none is held" : describe(held) };
  });
}

/** Ends keepers of jobs that are over; gives their names. */
export async function endStrayKeepers(deps: Deps): Promise<string[]> {
  const { strayGraceSeconds: graceSeconds } = deps;
  const activeJobs = await findActiveJobs(deps);
  return await withSession(
    deps,
    (session) => cleanStrayKeepers(session, { graceSeconds, activeJobs }),
  );
}

/** Those that run, and those that have ended and are about to end their keeper themselves. */
async function findActiveJobs({ state }: Deps): Promise<string[]> {
  const [unfinished, ...lists] = await Promise.all([
    state.parts.unfinished(),
    ...JOB_KINDS.map((kind) =>
      state.jobs.list({ kind, status: "running", limit: MOST_JOBS, offset: 0 })
    ),
  ]);
  return [...unfinished, ...lists.flatMap(({ jobs }) => jobs.map(({ jobId }) => jobId))];
}

async function withSession<T>(deps: Deps, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await connect({
    url: databaseUrl(deps),
    applicationName: "supabase-backup",
    connectTimeoutMs: 8000,
  });
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

function describe(holders: readonly FoundHolder[]): string {
  return holders.map(({ name, strategy, ageSeconds }) =>
    `${name} (${strategy}) for ${Math.round(ageSeconds)} s`
  ).join(", ");
}
