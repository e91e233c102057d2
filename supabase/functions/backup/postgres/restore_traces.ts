/**
 * The traces that restores leave in a database which they change in more than one transaction. A trace is
 * committed before the first row and removed when the restore is complete: while it stands, the database
 * is half restored, whatever became of the job, its tables and its workers.
 *
 * @module
 */
import { quoteLiteral } from "./quote.ts";
import type { Row } from "./session.ts";

/** Lies in the schema that no backup holds and no comparison sees. */
export const MARKS_TABLE = "backup_internal.restore_marks";

/** Name of the mark that is the trace, and of the one that holds what the restore was going to do. */
export const TRACE = "restore";
export const TRACED_PLAN = "plan of the restore";

/** Name of the mark of a job's plan that is in force. */
export const PLANNED = "planned";

/** Name of the mark that says that something was done, once the marks of the work are gone. */
export const TRACE_OF_WORK = "restore has begun";

/** How the names of marks begin that stand for loaded parts of rows. */
export const FILLED = "filled ";

/** Which part of a backup a restore was about; what is not named is all. */
export interface RestoreChoice {
  schemas?: string[];
  tables?: string[];
  onlyLost?: boolean;
  target?: "supabase" | "plain";
  includeAuthSessions?: boolean;
  schemaOnly?: boolean;
}

/** What a trace says of its restore. Survives JSON. */
export interface TraceFacts {
  backupId: string;
  choice: RestoreChoice;
  /** Parts of rows that were to be loaded; null when whoever loads them does not mark them. */
  parts: number | null;
}

/** A restore that has begun and is not complete. */
export interface RestoreTrace extends TraceFacts {
  jobId: string;
  /** When it began; of one that went on with an earlier one, when that did. */
  since: string;
  /** Parts of rows that are in place, as far as they are marked. */
  partsDone: number;
}

const TRACES = `
  select t.job_id, t.detail, pg_catalog.to_char(t.marked_at at time zone 'UTC',
           'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as since,
         (select pg_catalog.count(*)::int from ${MARKS_TABLE} m
           where m.job_id = t.job_id and m.name ^@ '${FILLED}') as parts_done,
         exists (select from ${MARKS_TABLE} m where m.job_id = t.job_id
                    and m.name not in ('${TRACE}', '${TRACED_PLAN}', '${PLANNED}')) as has_begun
    from ${MARKS_TABLE} t where t.name = '${TRACE}'
   order by t.marked_at desc, t.job_id`;

/** Whoever may not act as its owner is shown no rows of it. */
const READABLE = `
  select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'backup_internal' and c.relname = 'restore_marks' and c.relkind = 'r'
     and pg_catalog.pg_has_role(c.relowner, 'USAGE')`;

/** Sends one statement to a database. */
type Ask = (sql: string) => Promise<readonly Row[]>;

/** Reads the traces of a database, the newest first. */
export async function readRestoreTraces(ask: Ask): Promise<RestoreTrace[]> {
  return (await readTraces(ask)).map(({ trace }) => trace);
}

/**
 * Reads the traces of restores that have changed something: where a worker has planned and nothing else was done,
 * or has planned once more when all was done, nothing is half restored.
 */
export async function readUnfinishedRestores(ask: Ask): Promise<RestoreTrace[]> {
  // Whoever marks no parts marks nothing of what it does.
  return (await readTraces(ask)).filter(({ trace, hasBegun }) => hasBegun || trace.parts === null)
    .map(({ trace }) => trace);
}

async function readTraces(ask: Ask): Promise<{ trace: RestoreTrace; hasBegun: boolean }[]> {
  if ((await ask(READABLE)).length === 0) return [];
  return (await ask(TRACES)).map((row) => ({
    trace: {
      ...JSON.parse(row.detail) as TraceFacts,
      ...{ jobId: row.job_id, since: row.since, partsDone: Number(row.parts_done) },
    },
    hasBegun: row.has_begun,
  }));
}

/** The statement by which a person takes a trace away who knows that the database is well. */
export function forgetTrace({ jobId }: Pick<RestoreTrace, "jobId">): string {
  return `delete from ${MARKS_TABLE} where job_id = ${quoteLiteral(jobId)}`;
}

/** Which restore, of which backup, since when, and how far it came. */
export function traceInWords(trace: RestoreTrace): string {
  const { jobId, backupId, since, parts, partsDone, choice } = trace;
  const tables = choice.tables?.length ?? 0;
  const what = tables === 0 ? "" : ` (${tables === 1 ? choice.tables![0] : `${tables} tables`})`;
  const far = parts === null
    ? "how far it came is not known"
    : `${partsDone} of ${parts} parts of rows are in place`;
  return `restore ${jobId} of ${backupId}${what} began at ${since} and is not complete: ${far}`;
}

/** Whether a restore is about all of its backup. */
export function isOfAll(
  { schemas = [], tables = [], onlyLost, schemaOnly }: RestoreChoice,
): boolean {
  return schemas.length + tables.length === 0 && onlyLost !== true && schemaOnly !== true;
}

/** What of a request makes the difference between two restores of one backup. */
export function choiceOf(request: RestoreChoice): RestoreChoice {
  const { schemas = [], tables = [], onlyLost, target, includeAuthSessions, schemaOnly } = request;
  return {
    ...(schemas.length === 0 ? {} : { schemas: [...schemas].sort() }),
    ...(tables.length === 0 ? {} : { tables: [...tables].sort() }),
    ...(onlyLost === true ? { onlyLost } : {}),
    ...(target === undefined ? {} : { target }),
    ...(includeAuthSessions === true ? { includeAuthSessions } : {}),
    ...(schemaOnly === true ? { schemaOnly } : {}),
  };
}
