/**
 * Describes a database by the catalogs and the rows alone, without any of the product's code that reads
 * or writes backups: the demo's witness.
 *
 * @module
 */
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  OWN_FUNCTIONS,
  OWN_SCHEMA,
  OWN_TABLES,
} from "../../supabase/functions/backup/state/migrations.ts";

/** Facts by name: tables with row count and digest, definitions with their text. */
export interface Inspection {
  /** Rows and md5 over the ordered rows, by table. */
  rows: Map<string, string>;
  /** Definitions, rights, owners, comments, sequence values. */
  definitions: Set<string>;
  totalRows: number;
  tables: number;
}

const OWN_TABLE_NAMES = OWN_TABLES.map((table) => `'${table}'`).join(", ");

const USER_SCHEMA =
  `n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', '${OWN_SCHEMA}')
  and not (n.nspname = 'public' and c.relname in (${OWN_TABLE_NAMES}))`;

const OWN_FUNCTION_OIDS = `select to_regprocedure('public.' || f)::oid
  from unnest(array[${OWN_FUNCTIONS.map((name) => `'${name}'`).join(", ")}]) f
  where to_regprocedure('public.' || f) is not null`;

const TABLES = `
  select format('%I.%I', n.nspname, c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and ${USER_SCHEMA} order by 1`;

/** Each gives one text a row. */
const DEFINITIONS = [
  `select format('relation %I.%I kind %s owner %s rls %s/%s identity %s options %s acl %s', n.nspname, c.relname, c.relkind,
     pg_get_userbyid(c.relowner), c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloptions,
     (select array_agg(a::text order by a::text) from unnest(c.relacl) a)) as fact
   from pg_class c join pg_namespace n on n.oid = c.relnamespace where ${USER_SCHEMA} and c.relkind <> 't'
     and not (c.relkind = 'i' and exists (select from pg_index x join pg_class t on t.oid = x.indrelid
       where x.indexrelid = c.oid and n.nspname = 'public' and t.relname in (${OWN_TABLE_NAMES})))`,
  `select format('column %I.%I.%I %s notnull %s default %s identity %s generated %s storage %s stats %s acl %s', n.nspname, c.relname,
     a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity,
     a.attgenerated, a.attstorage, a.attstattarget, a.attacl) as fact
   from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
   left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'c', 'f') and ${USER_SCHEMA}`,
  `select format('constraint %I on %I.%I: %s', k.conname, n.nspname, c.relname, pg_get_constraintdef(k.oid)) as fact
   from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace where ${USER_SCHEMA}`,
  `select format('index %s', pg_get_indexdef(i.indexrelid)) as fact
   from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
   where ${USER_SCHEMA} and c.relkind <> 't'`,
  `select format('trigger %s enabled %s', pg_get_triggerdef(t.oid), t.tgenabled) as fact
   from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
   where not t.tgisinternal and ${USER_SCHEMA}`,
  `select format('policy %s', to_jsonb(p)) as fact from pg_policies p`,
  `select format('view %I.%I: %s', n.nspname, c.relname, pg_get_viewdef(c.oid)) as fact
   from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm') and ${USER_SCHEMA}`,
  `select format('function %s owner %s acl %s', pg_get_functiondef(p.oid), pg_get_userbyid(p.proowner), p.proacl) as fact
   from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where p.prokind <> 'a' and n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', '${OWN_SCHEMA}')
     and p.oid not in (${OWN_FUNCTION_OIDS})`,
  `select format('type %I.%I %s owner %s labels %s default %s', n.nspname, t.typname, t.typtype, pg_get_userbyid(t.typowner),
     (select array_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid), t.typdefault) as fact
   from pg_type t join pg_namespace n on n.oid = t.typnamespace
   where t.typtype in ('e', 'd', 'r', 'c') and n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', '${OWN_SCHEMA}')
     and not (n.nspname = 'public' and t.typname in (${OWN_TABLE_NAMES}))`,
  `select format('schema %I owner %s acl %s', n.nspname, pg_get_userbyid(n.nspowner), n.nspacl) as fact
   from pg_namespace n where n.nspname not like 'pg\\_%' and n.nspname <> '${OWN_SCHEMA}'`,
  `select format('sequence %s', to_jsonb(s)) as fact from pg_sequences s where schemaname <> '${OWN_SCHEMA}'`,
  `select format('comment %s: %s', (pg_identify_object(d.classoid, d.objoid, d.objsubid)).identity, d.description) as fact
   from pg_description d where d.objoid >= 16384
     and not (d.classoid = 'pg_proc'::regclass and d.objoid in (${OWN_FUNCTION_OIDS}))
     and (pg_identify_object(d.classoid, d.objoid, d.objsubid)).identity
       not similar to '%(backup_|restore_jobs|recovery_points|disaster_recovery_)%'`,
  `select format('extension %s %s', extname, extversion) as fact from pg_extension`,
  `select format('statistics %s', pg_get_statisticsobjdef(oid)) as fact from pg_statistic_ext`,
  `select format('publication %s', to_jsonb(p)) as fact from pg_publication_tables p`,
  `select format('default rights %s %s %s', defaclrole::regrole, defaclobjtype, defaclacl) as fact from pg_default_acl`,
  `select format('inherits %s from %s', inhrelid::regclass, inhparent::regclass) as fact from pg_inherits`,
  `select format('large object %s owner %s', oid, lomowner::regrole) as fact from pg_largeobject_metadata`,
];

/** Reads everything, in one transaction. Needs a superuser, so that nothing is hidden from it. */
export async function inspectDatabase(session: Session): Promise<Inspection> {
  await session.execute(
    "begin isolation level repeatable read read only; set local search_path = pg_catalog; set local timezone = 'UTC'; set local statement_timeout = 0",
  );
  const rows = new Map<string, string>();
  let totalRows = 0;
  for (const { name } of await session.query(TABLES)) {
    const [found] = await session.query(
      `select count(*)::integer as count, md5(string_agg(md5(t::text), '' order by md5(t::text))) as digest from only ${name} t`,
    );
    rows.set(name, `${found?.count} rows, ${found?.digest ?? "empty"}`);
    totalRows += found?.count ?? 0;
  }
  const [objects] = await session.query(
    "select count(*)::integer as count, md5(string_agg(md5(loid || ':' || pageno || ':' || encode(data, 'hex')), '' order by loid, pageno)) as digest from pg_largeobject",
  );
  rows.set("large objects", `${objects?.count} pages, ${objects?.digest ?? "empty"}`);
  const definitions = new Set<string>();
  for (const query of DEFINITIONS) {
    for (const { fact } of await session.query(query)) definitions.add(fact);
  }
  await session.execute("commit");
  return { rows, definitions, totalRows, tables: rows.size - 1 };
}

/** What differs, in words; empty when nothing does. */
export function differences(before: Inspection, after: Inspection): string[] {
  const found: string[] = [];
  for (const name of new Set([...before.rows.keys(), ...after.rows.keys()])) {
    const [was, is] = [before.rows.get(name), after.rows.get(name)];
    if (was !== is) found.push(`${name}: was ${was ?? "absent"}, is ${is ?? "absent"}`);
  }
  for (const fact of before.definitions) {
    if (!after.definitions.has(fact)) found.push(`lost: ${fact}`);
  }
  for (const fact of after.definitions) {
    if (!before.definitions.has(fact)) found.push(`new: ${fact}`);
  }
  return found;
}
