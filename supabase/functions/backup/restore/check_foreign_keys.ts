/**
 * Checks foreign keys that stayed in place while rows were loaded with triggers off.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import { FILLED } from "../postgres/restore_traces.ts";
import type { Row, Session } from "../postgres/session.ts";
import { filledName } from "./broken_off.ts";
import type { Difference } from "./compare_models.ts";
import type { TableLoad } from "./plan_types.ts";
import { MARKS_TABLE } from "./restore_marks.ts";

const KEYS = `
  select c.conname as name, c.confmatchtype as match,
         format('%I.%I', rn.nspname, r.relname) as child,
         format('%I.%I', pn.nspname, p.relname) as parent,
         case r.relkind when 'r' then 'ONLY ' else '' end as child_only,
         case p.relkind when 'r' then 'ONLY ' else '' end as parent_only,
         coalesce((to_jsonb(c) ->> 'conperiod')::bool, false) as is_period,
         (select array_agg(format('%I', a.attname) order by k.n)
            from unnest(c.conkey) with ordinality k (attnum, n)
            join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum) as child_columns,
         (select array_agg(format('%I', a.attname) order by k.n)
            from unnest(c.confkey) with ordinality k (attnum, n)
            join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.attnum) as parent_columns,
         (select array_agg(format('OPERATOR(%I.%s)', on_.nspname, o.oprname) order by k.n)
            from unnest(c.conpfeqop) with ordinality k (op, n)
            join pg_catalog.pg_operator o on o.oid = k.op
            join pg_catalog.pg_namespace on_ on on_.oid = o.oprnamespace) as operators
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_class r on r.oid = c.conrelid
    join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    join pg_catalog.pg_class p on p.oid = c.confrelid
    join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
   where c.contype = 'f' and c.convalidated`;

const FOREIGN_KEYS = `${KEYS} and c.conparentid = 0
     and (c.conrelid = any ($1::regclass[]) or c.confrelid = any ($1::regclass[]))
   order by 3, 1`;

/** A partition's own half of a key tells of its rows; where a key points to, only its whole does. */
const KEYS_OF_FILLED = `${KEYS}
     and (c.conrelid = any ($1::regclass[])
          and not exists (select from pg_catalog.pg_constraint w
                           where w.oid = c.conparentid and w.conrelid = c.conrelid)
       or c.conparentid = 0
          and c.confrelid in (select t from unnest($1::regclass[]) t
                              union select a.relid
                                from unnest($1::regclass[]) t, pg_catalog.pg_partition_ancestors(t) a)
          and not exists (
            select from ${MARKS_TABLE} m
             where m.job_id = $2
               and m.name ^@ ($3 || '"' || replace(rn.nspname, '"', '""') || '"."'
                              || replace(r.relname, '"', '""') || '" ')))
   order by 3, 1`;

/**
 * Checks every valid foreign key from and to the given tables (quoted and qualified).
 *
 * @throws {BackupError} `restore_mismatch` naming constraint and table when a row refers to nothing
 */
export async function checkForeignKeys(session: Session, tables: readonly string[]): Promise<void> {
  if (tables.length === 0) return;
  for (const key of await session.query(FOREIGN_KEYS, [arrayOf(tables)])) {
    const [row] = await session.query<{ broken: boolean }>(
      `SELECT EXISTS (${orphans(key)}) AS broken`,
    );
    if (row?.broken !== true) continue;
    throw new BackupError(
      "restore_mismatch",
      `Cannot restore the rows of ${key.child}: foreign key ${key.name} to ${key.parent} would be broken`,
      { hint: "Restore both tables together." },
    );
  }
}

/**
 * A query of one text value, for {@linkcode brokenKeys}, over the valid foreign keys of tables that a job
 * has filled, and those to them from tables that it has not; null when there are none.
 */
export async function filledKeysQuery(
  session: Session,
  { loads, jobId }: { loads: readonly TableLoad[]; jobId: string },
): Promise<string | null> {
  const tables = new Set(loads.flatMap((load) => [filledName(load), load.entry.table!.sqlName]));
  const keys = await session.query(KEYS_OF_FILLED, [arrayOf([...tables]), jobId, FILLED]);
  if (keys.length === 0) return null;
  const each = keys.map((key) => {
    const identity = `FOREIGN KEY ${key.child} ${key.name}`;
    const what = `rows refer to what ${key.parent} does not hold`;
    return `SELECT ${quoteLiteral(identity)} AS identity, ${quoteLiteral(what)} AS what ` +
      `WHERE EXISTS (${orphans(key)})`;
  });
  return `SELECT coalesce(json_agg(b), '[]')::text FROM (${each.join(" UNION ALL ")}) b`;
}

/** What {@linkcode filledKeysQuery} has found. */
export function brokenKeys(found: string): Difference[] {
  return JSON.parse(found);
}

function arrayOf(names: readonly string[]): string {
  return `{${names.map((name) => `"${name.replace(/[\\"]/g, "\\$&")}"`).join(",")}}`;
}

/** A query for rows of the child without their row of the parent. */
function orphans(key: Row): string {
  const child = key.child_columns as string[];
  const parent = key.parent_columns as string[];
  const operators = key.operators as string[];
  const same = parent.map((column, at) => `p.${column} ${operators[at]} c.${child[at]}`);
  const all = child.map((column) => `c.${column} IS NOT NULL`).join(" AND ");
  const some = child.map((column) => `c.${column} IS NOT NULL`).join(" OR ");
  const from = `FROM ${key.parent_only}${key.parent} p WHERE ${same.join(" AND ")}`;
  // A PERIOD, always the last column, may be covered by several rows together; its operator only finds them.
  const found = key.is_period === true
    ? `coalesce(c.${child.at(-1)} OPERATOR(pg_catalog.<@) ` +
      `(SELECT pg_catalog.range_agg(p.${parent.at(-1)}) ${from}), false)`
    : `EXISTS (SELECT ${from})`;
  const missing = `(${all}) AND NOT ${found}`;
  // MATCH FULL also forbids a mix of nulls and values.
  const mixed = key.match === "f" ? ` OR (${some}) AND NOT (${all})` : "";
  return `SELECT FROM ${key.child_only}${key.child} c WHERE ${missing}${mixed}`;
}
