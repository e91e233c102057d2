/**
 * The service's own tables and functions as text, from the catalogs alone: a change of any of them shows.
 *
 * @module
 */
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  OWN_FUNCTIONS,
  OWN_SCHEMA,
  OWN_TABLES,
} from "../../supabase/functions/backup/state/migrations.ts";

const RELATIONS = `
  select c.oid, format('%s %I.%I', case c.relkind when 'S' then 'sequence' else 'table' end,
      n.nspname, c.relname)
    || case when c.relrowsecurity then ' with row level security' else '' end
    || coalesce(': ' || obj_description(c.oid, 'pg_class'), '') as text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'S')
    and (n.nspname = '${OWN_SCHEMA}' or n.nspname = 'public' and c.relname = any ($1))
  order by n.nspname, c.relname`;

/** What hangs on a relation, line by line. */
const DETAILS = `
  select 1 as place, a.attnum as position, format('column %I %s', a.attname, format_type(a.atttypid, a.atttypmod))
    || case when a.attnotnull then ' not null' else '' end
    || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    || coalesce(': ' || col_description(a.attrelid, a.attnum), '') as text
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
    and exists (select from pg_class c where c.oid = a.attrelid and c.relkind = 'r')
  union all
  select 2, 0, format('constraint %I %s', k.conname, pg_get_constraintdef(k.oid))
  from pg_constraint k where k.conrelid = $1::oid and k.contype <> 'n'
  union all
  select 3, 0, pg_get_indexdef(i.indexrelid) from pg_index i where i.indrelid = $1::oid
  union all
  select 4, 0, pg_get_triggerdef(t.oid) from pg_trigger t
  where t.tgrelid = $1::oid and not t.tgisinternal
  order by 1, 2, 3`;

const FUNCTIONS = `
  select format('function %s returns %s, %s, %s, %s, rights of the %s, text %s', p.oid::regprocedure,
      pg_get_function_result(p.oid), l.lanname,
      case p.provolatile when 's' then 'stable' when 'i' then 'immutable' else 'volatile' end,
      coalesce(array_to_string(p.proconfig, ' '), 'no settings'),
      case when p.prosecdef then 'owner' else 'caller' end, md5(p.prosrc))
    || coalesce(': ' || obj_description(p.oid, 'pg_proc'), '') as text
  from pg_proc p join pg_language l on l.oid = p.prolang
  where p.pronamespace = '${OWN_SCHEMA}'::regnamespace
    or p.oid in (select to_regprocedure('public.' || f)::oid from json_array_elements_text($1) f)
  order by p.oid::regprocedure::text`;

/** See the module. */
export async function schemaText(session: Session): Promise<string> {
  await session.execute("set search_path = ''");
  const lines: string[] = [];
  for (const { oid, text } of await session.query(RELATIONS, [`{${OWN_TABLES.join(",")}}`])) {
    lines.push(text);
    for (const detail of await session.query(DETAILS, [oid])) lines.push(`  ${detail.text}`);
  }
  const functions = await session.query(FUNCTIONS, [JSON.stringify(OWN_FUNCTIONS)]);
  return [...lines, ...functions.map(({ text }) => text), ""].join("\n");
}
