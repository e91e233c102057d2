/**
 * Writes and removes the traces of restores that take more than one transaction.
 *
 * @module
 */
import { quoteLiteral } from "../postgres/quote.ts";
import {
  choiceOf,
  FILLED,
  isOfAll,
  MARKS_TABLE,
  readRestoreTraces,
  type RestoreChoice,
  TRACE,
  TRACE_OF_WORK,
  TRACED_PLAN,
  type TraceFacts,
} from "../postgres/restore_traces.ts";
import type { Session } from "../postgres/session.ts";
import { type BrokenOff, filledMark, type TracedPlan } from "./broken_off.ts";
import type { LoadItem } from "./load_rows.ts";
import { keepInForce, type MarkedJob, removeMarks } from "./restore_marks.ts";

/** What a restore writes down before its first change. */
export interface BegunRestore {
  facts: TraceFacts;
  plan: TracedPlan;
  /** The restore that it goes on with; its marks become this one's. */
  before: BrokenOff | null;
  /** Names of marks whose rows somebody has taken away since. */
  gone: readonly string[];
}

/** Commits the trace. @throws {BackupError} `interrupted` when the plan is not in force any more */
export async function beginTrace(
  session: Session,
  job: MarkedJob,
  { facts, plan, before, gone }: BegunRestore,
): Promise<void> {
  const id = quoteLiteral(job.jobId);
  const values = (name: string, detail: unknown, at: string) =>
    `(${id}, ${quoteLiteral(name)}, ${quoteLiteral(JSON.stringify(detail))}, ${at})`;
  const since = before === null
    ? "pg_catalog.clock_timestamp()"
    : `${quoteLiteral(before.trace.since)}::timestamp with time zone`;
  const former = before?.trace.jobId ?? job.jobId;
  await session.execute("BEGIN");
  await keepInForce(session, job);
  await session.execute(`
    delete from ${MARKS_TABLE} where job_id = ${id} and name in ('${TRACE}', '${TRACED_PLAN}');
    ${former === job.jobId ? "" : adopt(former, job.jobId)}
    ${gone.length === 0 ? "" : forget(job.jobId, gone)}
    insert into ${MARKS_TABLE} (job_id, name, detail, marked_at)
    values ${values(TRACE, facts, since)}, ${values(TRACED_PLAN, plan, since)};
    commit`);
}

/**
 * Whoever still works for the other one finds that its plan is not in force any more. What it has done stays done,
 * though of its marks only those of rows are of use.
 */
function adopt(former: string, jobId: string): string {
  return `
    update ${MARKS_TABLE} set job_id = ${quoteLiteral(jobId)}
     where job_id = ${quoteLiteral(former)} and name ^@ '${FILLED}';
    delete from ${MARKS_TABLE} where job_id = ${quoteLiteral(former)};
    insert into ${MARKS_TABLE} (job_id, name)
    values (${quoteLiteral(jobId)}, '${TRACE_OF_WORK}') on conflict do nothing;`;
}

function forget(jobId: string, names: readonly string[]): string {
  return `
    delete from ${MARKS_TABLE}
     where job_id = ${quoteLiteral(jobId)} and name in (${names.map(quoteLiteral).join(", ")});`;
}

/** Statements that mark loaded parts; large objects cannot be gone on with. */
export function filledStatements(jobId: string, loaded: readonly LoadItem[]): string {
  const rows = loaded.filter(({ load }) => load.entry.kind !== "large-object-data")
    .map(({ load, part }) =>
      `(${quoteLiteral(jobId)}, ${quoteLiteral(filledMark(load, part))}, '${part.rows}')`
    );
  if (rows.length === 0) return "";
  return `INSERT INTO ${MARKS_TABLE} (job_id, name, detail) VALUES ${rows.join(", ")};\n`;
}

/**
 * Removes the traces that a complete restore makes untrue: of the same choice, and all where it was of all.
 * In the open transaction, if there is one.
 */
export async function removeTraces(session: Session, choice: RestoreChoice): Promise<void> {
  const same = JSON.stringify(choiceOf(choice));
  for (const trace of await readRestoreTraces((sql) => session.query(sql))) {
    if (isOfAll(choice) || JSON.stringify(choiceOf(trace.choice)) === same) {
      await removeMarks(session, { jobId: trace.jobId });
    }
  }
}
