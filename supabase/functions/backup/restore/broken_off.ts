/**
 * What a restore that was broken off has left in its target, for the next one of the same backup, which goes
 * on with it: which objects and rows it was going to make, and which rows it has loaded.
 *
 * @module
 */
import type { DataPart } from "../core/model.ts";
import {
  choiceOf,
  FILLED,
  MARKS_TABLE,
  readRestoreTraces,
  type RestoreChoice,
  type RestoreTrace,
  TRACED_PLAN,
} from "../postgres/restore_traces.ts";
import type { Session } from "../postgres/session.ts";
import type { RestorePlan, TableLoad } from "./plan_types.ts";

/** See the module. */
export interface BrokenOff {
  trace: RestoreTrace;
  /** Identities of what it was going to make; null for everything, because nothing was there. */
  made: ReadonlySet<string> | null;
  /** Identities of rows that it was going to load; null for all. */
  loads: ReadonlySet<string> | null;
  /** Rows of parts that it has loaded, by the names of their marks. */
  filled: ReadonlyMap<string, number>;
}

/** What a restore is going to do, as it stands beside its trace. Survives JSON. */
export interface TracedPlan {
  made: string[] | null;
  loads: string[] | null;
}

/** Which trace is looked for: that of a job, or the newest of the same restore. */
export interface SoughtTrace {
  /** The restore that looks: of a worker that had planned and could not tell, the trace is its own already. */
  jobId: string;
  /** Asked for only where a trace stands. */
  backupId: () => Promise<string>;
  choice: RestoreChoice;
  /** The restore that is to be completed, whatever else was chosen. */
  completes: string | undefined;
}

/** Finds what there is to go on with; null for nothing. */
export async function readBrokenOff(
  session: Session,
  { jobId, backupId, choice, completes }: SoughtTrace,
): Promise<BrokenOff | null> {
  const traces = await readRestoreTraces((sql) => session.query(sql));
  if (traces.length === 0) return null;
  const id = await backupId();
  const same = JSON.stringify(choiceOf(choice));
  const trace = traces.find((each) =>
    each.backupId === id &&
    (completes === undefined
      ? JSON.stringify(choiceOf(each.choice)) === same
      : [completes, jobId].includes(each.jobId))
  );
  if (trace === undefined) return null;
  const marks = await session.query(
    `select name, detail from ${MARKS_TABLE} where job_id = $1 and (name = $2 or name ^@ $3)`,
    [trace.jobId, TRACED_PLAN, FILLED],
  );
  const stored = marks.find(({ name }) => name === TRACED_PLAN)?.detail;
  // Without a plan nothing is known of it, and nothing is held for its work.
  const plan: TracedPlan = stored === undefined ? { made: [], loads: null } : JSON.parse(stored);
  return {
    trace,
    made: plan.made === null ? null : new Set(plan.made),
    loads: plan.loads === null ? null : new Set(plan.loads),
    filled: new Map(
      marks.flatMap(({ name, detail }) => name.startsWith(FILLED) ? [[name, Number(detail)]] : []),
    ),
  };
}

/** What the trace of a restore by this plan says, and of the one that it goes on with. */
export function tracedPlan(
  { mode, create, load }: RestorePlan,
  before: Pick<BrokenOff, "made" | "loads"> | null,
): TracedPlan {
  if (mode === "empty") return { made: null, loads: null };
  const list = (known: ReadonlySet<string> | null | undefined, more: readonly string[]) =>
    known === null ? null : [...new Set([...known ?? [], ...more])];
  return {
    made: list(before?.made, create.map(({ identity }) => identity)),
    loads: list(before?.loads, load.map(({ entry }) => entry.identity)),
  };
}

/** Quoted name of what is filled: the table, or the partitioned table that the rows go through. */
export function filledName({ root, entry }: TableLoad): string {
  return root ?? entry.table!.sqlName;
}

/** How the names of marks begin that stand for parts of what is filled. */
export function filledMarks(load: TableLoad): string {
  return `${FILLED}${filledName(load)} `;
}

/** Name of the mark that stands for a loaded part. */
export function filledMark(load: TableLoad, { part }: DataPart): string {
  return `${filledMarks(load)}${load.entry.identity}/${part}`;
}
