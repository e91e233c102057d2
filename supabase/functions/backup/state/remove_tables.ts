/**
 * Takes the service's own tables and functions out of the database again.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Sql, StateDatabase } from "./database.ts";
import { OWN_FUNCTIONS, OWN_SCHEMA, OWN_TABLES } from "./migrations.ts";

/** Tries: whoever reads several of the tables at the moment may hold what the drop waits for, and wait for it. */
const TRIES = 5;

/**
 * Drops them, all or none. What users built on them is not dropped with them.
 *
 * @returns what was there, qualified
 * @throws `conflict` naming a running job; `lock_timeout` while others use them all the time;
 *   `database_error` when other objects depend on a table
 */
export async function removeTables(database: StateDatabase): Promise<{ removed: string[] }> {
  for (let tries = 1;; tries++) {
    try {
      return await remove(database);
    } catch (error) {
      const isPassing = error instanceof BackupError && error.code === "lock_timeout";
      if (!isPassing || tries === TRIES) throw error;
    }
  }
}

async function remove(database: StateDatabase): Promise<{ removed: string[] }> {
  return await database.transaction("remove the service's tables", async (sql) => {
    const found = await sql`
      select n.nspname as schema, c.relname as name,
        format('%I.%I', n.nspname, c.relname) as qualified
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and not c.relispartition
        and (n.nspname = ${OWN_SCHEMA} or (n.nspname = 'public' and c.relname = any(${OWN_TABLES})))
      order by 1, 2`;
    const tables = found.map((row) => String(row.qualified));
    if (tables.length > 0) await sql.unsafe(`lock table ${tables.join(", ")} in exclusive mode`);
    for (const table of tables.filter((name) => name.endsWith("_jobs"))) {
      const [running] = await sql`
        select job_id from ${sql.unsafe(table)} where status = 'running'
          and updated_at > now() - interval '1 minute' limit 1`;
      if (running) throw isRunning(String(running.job_id));
    }
    const functions = await dropRoutines(sql, OWN_FUNCTIONS.map((name) => `public.${name}`));
    if (tables.length > 0) await sql.unsafe(`drop table ${tables.join(", ")}`);
    const inner = await sql`
      select p.oid::regprocedure::text as name from pg_catalog.pg_proc p
      where p.pronamespace = to_regnamespace(${OWN_SCHEMA})`;
    const routines = await dropRoutines(sql, inner.map((row) => String(row.name)));
    const sequences = await sql`
      select format('%I.%I', n.nspname, c.relname) as name
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'S' and n.nspname = ${OWN_SCHEMA}`;
    for (const { name } of sequences) await sql.unsafe(`drop sequence ${name}`);
    const [schema] = await sql`select to_regnamespace(${OWN_SCHEMA}) is not null as there`;
    if (!schema?.there) return { removed: [...functions, ...tables] };
    await sql.unsafe(`drop schema ${OWN_SCHEMA}`);
    return { removed: [...functions, ...tables, `schema ${OWN_SCHEMA}`, ...routines] };
  });
}

/** Drops those of these that are there; their names. */
async function dropRoutines(sql: Sql, names: readonly string[]): Promise<string[]> {
  const rows = await sql`
    select to_regprocedure(name)::text as name from unnest(${[...names]}::text[]) name
    where to_regprocedure(name) is not null order by 1`;
  const found = rows.map((row) => String(row.name));
  if (found.length > 0) await sql.unsafe(`drop routine ${found.join(", ")}`);
  return found;
}

function isRunning(jobId: string): BackupError {
  return new BackupError(
    "conflict",
    `Cannot remove the service's tables: job ${jobId} is running`,
    {
      hint: `Wait for it (action=job&jobId=${jobId}) or stop it (action=cancel).`,
      details: { jobId },
    },
  );
}
