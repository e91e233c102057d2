/**
 * The trace of a restore that one program does in many transactions: when it is killed, nobody else knows that
 * the database is half restored.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import { BackupError } from "../../core/errors.ts";
import { newJobId } from "../../core/ids.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import { choiceOf, type RestoreChoice } from "../../postgres/restore_traces.ts";
import type { Session } from "../../postgres/session.ts";
import {
  beginTrace,
  MOST_LISTED,
  openMarks,
  removeMarks,
  removeTraces,
  type RestorePlan,
  tracedPlan,
} from "../../restore/mod.ts";
import { hasAllRows } from "./has_all_rows.ts";

/** What a trace tells of. */
export interface TracedWork {
  session: Session;
  clock: Clock;
  plan: RestorePlan;
  request: RestoreChoice;
}

/** Does the work under a trace, which goes when all rows are as they should be. */
export async function withTrace<T>(traced: TracedWork, work: () => Promise<T>): Promise<T> {
  const { session, request } = traced;
  const jobId = await begin(traced);
  if (jobId === null) return await work();
  try {
    const result = await work();
    await removeMarks(session, { jobId });
    await removeTraces(session, request);
    return result;
  } catch (error) {
    if (lacksNoRows(error)) await removeMarks(session, { jobId });
    throw error;
  }
}

/** Null for a role that may not make a schema: it restores all the same, and leaves no trace. */
async function begin({ session, clock, plan, request }: TracedWork): Promise<string | null> {
  const jobId = newJobId("restore", clock.now());
  const marks = { jobId, plan: "1" };
  try {
    await openMarks(session, marks);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== "42501") throw error;
    await session.execute("ROLLBACK");
    return null;
  }
  const { backupId } = plan;
  await beginTrace(session, marks, {
    facts: { backupId, choice: choiceOf(request), parts: null },
    ...{ plan: tracedPlan(plan, null), before: null, gone: [] },
  });
  return jobId;
}

/** Whether only definitions are missing, by the error at a restore's end. */
function lacksNoRows(error: unknown): boolean {
  if (!(error instanceof BackupError) || error.details?.failed === undefined) return false;
  const named = error.details as unknown as Parameters<typeof hasAllRows>[0];
  const { failed, skipped, differences } = named;
  // Nobody knows what stands behind the end of a list that was cut.
  const areWhole = [failed, skipped, differences].every(({ length }) => length < MOST_LISTED);
  return areWhole && hasAllRows(named);
}
