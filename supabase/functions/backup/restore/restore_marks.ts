/**
 * Marks of a restore that is done in parts, kept in the target itself: a mark commits in the same
 * transaction as the work that it stands for, so nothing is done twice however often a worker dies.
 *
 * The plan has a mark, too, with the token of the lease that it was made under. Work asks for it in its own
 * transaction: a worker that sleeps until the restore is over, or planned again, then changes nothing.
 *
 * @module
 */
import { leaseLost } from "../core/part_errors.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import {
  FILLED,
  MARKS_TABLE as TABLE,
  PLANNED,
  TRACE,
  TRACE_OF_WORK,
  TRACED_PLAN,
} from "../postgres/restore_traces.ts";
import type { Session } from "../postgres/session.ts";

/** A mark: work that is done, or that the server refused for good. */
export interface RestoreMark {
  name: string;
  /** What a marked query found. */
  detail: string | null;
  /** SQLSTATE and message of a refusal, null when the work was done. */
  refusal: { sqlState: string; message: string } | null;
}

/** What work under a mark belongs to. */
export interface MarkedJob {
  jobId: string;
  /** Token of the plan, which has to be in force; work that an older release planned has none. */
  plan?: string | undefined;
}

/** Said when the plan is not in force, or not to be. */
export const NOT_IN_FORCE = "BKOLD";
/** There are no marks any more. */
const NO_TABLE = "42P01";

/** In another order than "C" an index would not find names by how they begin, of which there may be 100,000. */
const PREPARE = `
  create schema if not exists backup_internal;
  create table if not exists ${TABLE} (
    job_id text not null,
    name text collate "C" not null,
    detail text,
    sql_state text,
    message text,
    marked_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
    primary key (job_id, name)
  );
  alter table ${TABLE} enable row level security`;

const DROP = `
  drop table ${TABLE};
  do $$ begin
    -- A schema that is not empty is refused only after all that is in it was locked.
    if exists (select from pg_catalog.pg_depend
                where refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                  and refobjid = 'backup_internal'::pg_catalog.regnamespace) then return; end if;
    drop schema backup_internal restrict;
  exception when dependent_objects_still_exist or insufficient_privilege then
    null; -- the service's own tables are there
  end $$`;

/** One after the other makes, opens and removes marks; without it IF NOT EXISTS would fail for one of two. */
const ONE_BY_ONE = `pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('${TABLE}', 0))`;

/**
 * Makes the place for marks where there is none, and puts a plan into force.
 *
 * @throws {BackupError} `interrupted` when one that was begun later is
 */
export async function openMarks(
  session: Session,
  { jobId, plan }: { jobId: string; plan: string },
): Promise<void> {
  const values = [jobId, PLANNED, plan].map(quoteLiteral);
  await inForce(() =>
    session.execute(`
    begin;
    select ${ONE_BY_ONE};
    ${quietly(PREPARE)};
    do ${quoteLiteral(`begin ${refuseOlder(jobId, plan)} end`)};
    insert into ${TABLE} (job_id, name, detail) values (${values.join(", ")})
      on conflict (job_id, name) do update set detail = excluded.detail;
    commit`)
  );
}

/** A statement of PL/pgSQL that fails when a plan that was begun later is in force. */
function refuseOlder(jobId: string, plan: string): string {
  return `
    if exists (select from ${TABLE} where job_id = ${quoteLiteral(jobId)}
                  and name = '${PLANNED}' and detail::bigint > ${quoteLiteral(plan)}::bigint) then
      raise exception using errcode = '${NOT_IN_FORCE}', message = 'the restore was planned again';
    end if;`;
}

/** A statement of PL/pgSQL that fails when the plan is not in force, and keeps it so to the transaction's end. */
export function requireInForce({ jobId, plan }: MarkedJob): string {
  if (plan === undefined) return "";
  return `
  perform from ${TABLE} where job_id = ${quoteLiteral(jobId)} and name = '${PLANNED}'
      and detail = ${quoteLiteral(plan)} for key share;
  if not found then
    raise exception using errcode = '${NOT_IN_FORCE}', message = 'the plan is not in force';
  end if;`;
}

/**
 * Keeps a plan in force to the end of the open transaction.
 *
 * @throws {BackupError} `interrupted` when it is not
 */
export async function keepInForce(session: Session, job: MarkedJob): Promise<void> {
  if (job.plan === undefined) return;
  const statement = `do ${quoteLiteral(`begin ${requireInForce(job)} end`)}`;
  await inForce(() => session.execute(statement), [NOT_IN_FORCE, NO_TABLE]);
}

/** Whoever comes with a plan that is not in force has lost its lease. */
async function inForce<T>(work: () => Promise<T>, states = [NOT_IN_FORCE]): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const lost = error instanceof DatabaseError && states.includes(error.sqlState);
    throw lost ? leaseLost("of the restore") : error;
  }
}

/**
 * Statements that event triggers do not hear, as far as the role may silence them: what they would write
 * into tables of users would look like rows of somebody else.
 */
function quietly(statements: string): string {
  return `do ${
    quoteLiteral(`
    declare
      names text[];
      states text[];
    begin
      select pg_catalog.array_agg(e.evtname), pg_catalog.array_agg(
               case e.evtenabled when 'O' then 'enable' when 'R' then 'enable replica' else 'enable always' end)
        into names, states
        from pg_catalog.pg_event_trigger e
       where e.evtenabled <> 'D' and pg_catalog.pg_has_role(e.evtowner, 'USAGE')
         and not exists (select from pg_catalog.pg_depend d
                          where d.classid = 'pg_catalog.pg_event_trigger'::regclass
                            and d.objid = e.oid and d.deptype = 'e');
      for i in 1 .. coalesce(pg_catalog.array_length(names, 1), 0) loop
        execute pg_catalog.format('alter event trigger %I disable', names[i]);
      end loop;
      execute ${quoteLiteral(statements)};
      for i in 1 .. coalesce(pg_catalog.array_length(names, 1), 0) loop
        execute pg_catalog.format('alter event trigger %I %s', names[i], states[i]);
      end loop;
    end`)
  }`;
}

/** The statement that marks work as done; it belongs into the work's own transaction. */
export function markStatement(jobId: string, name: string, detail: string | null = null): string {
  const values = [jobId, name].map(quoteLiteral);
  const kept = detail === null ? "NULL" : quoteLiteral(detail);
  return `INSERT INTO ${TABLE} (job_id, name, detail) VALUES (${values.join(", ")}, ${kept})`;
}

/**
 * Waits until no other transaction works under a mark's name, and keeps others from it until this one
 * ends: a backend goes on for a while after its worker is gone.
 */
export async function lockMark(
  session: Session,
  { jobId, name }: { jobId: string; name: string },
): Promise<void> {
  await session.query(
    "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 7))",
    [`${jobId} ${name}`],
  );
}

/**
 * One mark, null when the work is not done and may be.
 *
 * @throws {BackupError} `interrupted` when it is not done and its plan is not in force
 */
export async function readMark(
  session: Session,
  { name, ...job }: MarkedJob & { name: string },
): Promise<RestoreMark | null> {
  const [mark = null] = await readMarks(session, job, { names: [name] });
  return mark;
}

/** Which marks are asked for. */
export interface WantedMarks {
  names: readonly string[];
  /** Those of pieces, too, whose names are this one, a slash, and more. */
  piecesOf?: string;
}

/**
 * Those of the wanted marks that are there.
 *
 * @throws {BackupError} `interrupted` when there is none and the plan is not in force
 */
export async function readMarks(
  session: Session,
  { jobId, plan }: MarkedJob,
  { names, piecesOf }: WantedMarks,
): Promise<RestoreMark[]> {
  const own = names.map(quoteLiteral).join(", ");
  // "0" follows "/": a range is found in the index whatever the planner knows of the table.
  const pieces = piecesOf === undefined
    ? ""
    : `or name >= ${quoteLiteral(`${piecesOf}/`)} and name < ${quoteLiteral(`${piecesOf}0`)}`;
  // Keeps the plan in force to the end of the transaction, if there is one.
  const select = `select name, detail, sql_state, message from ${TABLE} where job_id = $1
    and (name in (${own}) ${pieces} or name = '${PLANNED}' and detail = $2) for key share`;
  const rows = await inForce(() => session.query(select, [jobId, plan ?? null]), [NO_TABLE]);
  if (plan !== undefined && rows.length === 0) throw leaseLost(names[0]!);
  return rows.filter(({ name }) => name !== PLANNED).map((row) => ({
    name: row.name,
    detail: row.detail,
    refusal: row.sql_state === null ? null : { sqlState: row.sql_state, message: row.message },
  }));
}

/**
 * Removes a job's marks, and their table and schema when nothing else is in them. What works under them has
 * ended then, and nothing else will.
 *
 * @param job with `plan`: for whoever plans anew; with `keepsTrace` what tells of a restore that is not complete
 *   stays, if anything of it was done
 * @throws {BackupError} `interrupted` when a plan that was begun later is in force
 */
export async function removeMarks(
  session: Session,
  { jobId, plan, keepsTrace = false }: MarkedJob & { keepsTrace?: boolean },
): Promise<void> {
  await inForce(() =>
    session.execute(`
    do ${
      quoteLiteral(`begin
      perform ${ONE_BY_ONE};
      if not exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'backup_internal' and c.relname = 'restore_marks'
           and pg_catalog.pg_has_role(c.relowner, 'USAGE')
      ) then return; end if;
      ${plan === undefined ? "" : refuseOlder(jobId, plan)}
      ${keepsTrace ? keepTrace(jobId) : ""}
      delete from ${TABLE} where job_id = ${quoteLiteral(jobId)}${
        keepsTrace ? ` and not (${isOfTrace(jobId)})` : ""
      };
      if exists (select from ${TABLE}) then return; end if;
      execute ${quoteLiteral(quietly(DROP))};
    end`)
    }`)
  );
}

/** A statement that writes down that something was done, while its own marks still say so. */
function keepTrace(jobId: string): string {
  const job = quoteLiteral(jobId);
  return `
      insert into ${TABLE} (job_id, name)
      select ${job}, '${TRACE_OF_WORK}'
       where exists (select from ${TABLE} where job_id = ${job}
                        and name not in ('${PLANNED}', '${TRACE}', '${TRACED_PLAN}'))
          on conflict do nothing;`;
}

/** Whether a mark tells what was restored, in a job of which something was. */
function isOfTrace(jobId: string): string {
  return `(name in ('${TRACE}', '${TRACED_PLAN}', '${TRACE_OF_WORK}') or name ^@ '${FILLED}')
          and exists (select from ${TABLE} w where w.job_id = ${quoteLiteral(jobId)}
                         and w.name = '${TRACE_OF_WORK}')
          and exists (select from ${TABLE} w where w.job_id = ${quoteLiteral(jobId)}
                         and w.name = '${TRACE}')`;
}

/** The table of marks, for statements that write their own mark. */
export const MARKS_TABLE = TABLE;
