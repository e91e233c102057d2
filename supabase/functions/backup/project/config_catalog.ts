/**
 * Settings that live inside the database and come back with it: what a backup of the configuration keeps
 * of them is for reading and comparing.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";

/** A list of rows that the database can be asked for. */
export interface CatalogList {
  key: string;
  title: string;
  /** A relation without which there are none. */
  needs: string | null;
  /** One row of JSON text each, in a fixed order. */
  sql: string;
  /** Fields by which two rows are the same thing. */
  identity: readonly string[];
  /** What to do where all are there and some are otherwise. @default they come back with the database */
  otherwise?: string;
}

/** See the module. */
export const CATALOG_LISTS: readonly CatalogList[] = [
  {
    key: "cron-jobs",
    title: "cron jobs",
    needs: "cron.job",
    sql: `select jsonb_build_object('name', jobname, 'schedule', schedule, 'command', command,
        'database', database, 'username', username, 'active', active)::text as row
      from cron.job order by jobname, command, schedule, jobid`,
    identity: ["name", "username", "schedule", "command"],
    otherwise: "restored jobs stay switched off until somebody switches them on",
  },
  {
    key: "database-webhooks",
    title: "webhooks of the database",
    needs: null,
    sql: `select jsonb_build_object('schema', n.nspname, 'table', c.relname, 'name', t.tgname,
        'enabled', t.tgenabled, 'definition', pg_catalog.pg_get_triggerdef(t.oid))::text as row
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_proc p on p.oid = t.tgfoid and p.proname = 'http_request'
      join pg_catalog.pg_namespace f on f.oid = p.pronamespace and f.nspname = 'supabase_functions'
      join pg_catalog.pg_class c on c.oid = t.tgrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where not t.tgisinternal order by n.nspname, c.relname, t.tgname`,
    identity: ["schema", "table", "name"],
  },
  {
    key: "index-definitions",
    title: "definitions of indexes",
    needs: null,
    sql: `select jsonb_build_object('schema', schemaname, 'table', tablename, 'name', indexname,
        'definition', indexdef)::text as row
      from pg_catalog.pg_indexes
      where schemaname not in ('pg_catalog', 'information_schema') and schemaname !~ '^pg_toast'
      order by schemaname, tablename, indexname`,
    identity: ["schema", "name"],
  },
  {
    key: "migrations",
    title: "history of migrations",
    needs: "supabase_migrations.schema_migrations",
    sql: `select to_jsonb(m)::text as row from supabase_migrations.schema_migrations m
      order by m.version`,
    identity: ["version"],
  },
];

/** Tables that no list tells of: this service's own, which come and go with it. */
export interface OwnTables {
  schemas: readonly string[];
  /** As `schema.table`. */
  tables: readonly string[];
}

/** The rows without those that belong to own tables. */
export function withoutOwn(rows: readonly string[], own: OwnTables | undefined): string[] {
  if (own === undefined) return [...rows];
  return rows.filter((row) => {
    const { schema, table } = JSON.parse(row) as { schema?: string; table?: string };
    return !own.schemas.includes(schema ?? "") && !own.tables.includes(`${schema}.${table}`);
  });
}

/** The rows; null where the database has no such thing. @throws the `database_*` codes */
export async function readCatalogList(
  session: Session,
  { needs, sql }: CatalogList,
  own: OwnTables | undefined,
): Promise<string[] | null> {
  if (needs !== null) {
    const [found] = await session.query("select pg_catalog.to_regclass($1) is not null as there", [
      needs,
    ]);
    if (found?.there !== true) return null;
  }
  return withoutOwn((await session.query<{ row: string }>(sql)).map(({ row }) => row), own);
}
