/**
 * Marks of a restore that is done in parts, kept in the target itself: a mark commits in the same
 * transaction as the work that it stands for, so nothing is done twice however often a worker dies.
 *
 * @module
 */
import { quoteLiteral } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";

/** A mark: work that is done, or that the server refused for good. */
export interface RestoreMark {
  name: string;
  /** What a marked query found. */
  detail: string | null;
  /** SQLSTATE and message of a refusal, null when the work was done. */
  refusal: { sqlState: string; message: string } | null;
}

/** Lies in the schema that no backup holds and no comparison sees. */
const TABLE = "backup_internal.restore_marks";

const PREPARE = `
  create schema if not exists backup_internal;
  create table if not exists ${TABLE} (
    job_id text not null,
    name text not null,
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
    drop schema backup_internal restrict;
  exception when dependent_objects_still_exist or insufficient_privilege then
    null; -- the service's own tables are there
  end $$`;

/** Makes the place for marks where there is none. */
export async function prepareMarks(session: Session): Promise<void> {
  // Two workers that make the same schema at once: one of them fails although it says IF NOT EXISTS.
  await session.execute(`
    begin;
    select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('${TABLE}', 0));
    ${quietly(PREPARE)};
    commit`);
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

/** One mark, null when the work is not done. */
export async function readMark(
  session: Session,
  { jobId, name }: { jobId: string; name: string },
): Promise<RestoreMark | null> {
  const [row] = await session.query(
    `select name, detail, sql_state, message from ${TABLE} where job_id = $1 and name = $2`,
    [jobId, name],
  );
  if (row === undefined) return null;
  const refusal = row.sql_state === null ? null : { sqlState: row.sql_state, message: row.message };
  return { name: row.name, detail: row.detail, refusal };
}

/** Names of all marks of a job. */
export async function markedNames(session: Session, jobId: string): Promise<Set<string>> {
  const rows = await session.query(`select name from ${TABLE} where job_id = $1`, [jobId]);
  return new Set(rows.map((row) => row.name));
}

/** Removes a job's marks, and their table and schema when nothing else is in them. */
export async function removeMarks(session: Session, jobId: string): Promise<void> {
  await session.execute(`
    do ${
    quoteLiteral(`begin
      if not exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'backup_internal' and c.relname = 'restore_marks'
           and pg_catalog.pg_has_role(c.relowner, 'USAGE')
      ) then return; end if;
      delete from ${TABLE} where job_id = ${quoteLiteral(jobId)};
      if exists (select from ${TABLE}) then return; end if;
      execute ${quoteLiteral(quietly(DROP))};
    end`)
  }`);
}

/** The table of marks, for statements that write their own mark. */
export const MARKS_TABLE = TABLE;
