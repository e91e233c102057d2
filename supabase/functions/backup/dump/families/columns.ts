/**
 * Columns of relations: how the catalog has them and how CREATE TABLE and ALTER TABLE say them.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { DumpContext } from "../context.ts";
import { optionList } from "./options.ts";
import { presentDefinition } from "./present_definition.ts";

/** A live column. */
export interface Column {
  number: number;
  name: string;
  typeOid: number;
  type: string;
  /** Qualified name of a collation that is not the type's own. */
  collation: string | null;
  isNotNull: boolean;
  /** Defined in this table itself, whether or not a parent has it too. */
  isLocal: boolean;
  /** `""`, `a` (always) or `d` (by default). */
  identity: string;
  /** `""`, `s` (stored) or `v` (virtual). */
  generated: string;
  defaultOid: number | null;
  defaultExpression: string | null;
  /** Target of ANALYZE where it is not the default. */
  statistics: number | null;
  /** Letter of a storage mode that is not the type's own. */
  storage: string | null;
  /** `""`, `p` (pglz) or `l` (lz4). */
  compression: string;
  options: string[] | null;
  foreignOptions: string[];
  acl: string[] | null;
  initial: string[] | null;
  /** A parent's column of that name is NOT NULL (from 18 on: by a valid constraint). */
  inheritsNotNull: boolean;
  /** A parent's column of that name has a default. */
  inheritsDefault: boolean;
  /** The parents that generate this column all do it by the same expression. */
  inheritsGenerated: boolean;
}

/**
 * Options that somebody set. `pg_attver` is a note of the server's own, on every column since the minor
 * releases of November 2026: another server counts otherwise, and an older one does not take it.
 */
const OPTIONS = `case when a.attoptions is not null then
           (select array_agg(o.text order by o.number)
              from unnest(a.attoptions) with ordinality o(text, number)
             where o.text not like 'pg\\_attver=%') end`;

function columnsQuery(version: number): string {
  const parentNotNull = version >= 180000
    ? `exists (select from pg_constraint pc
                where pc.conrelid = pa.attrelid and pc.contype = 'n' and pc.convalidated
                  and pc.conkey = array[pa.attnum])`
    : "pa.attnotnull";
  return `
  select a.attrelid as relation, a.attnum as number, a.attname as name, a.atttypid as "typeOid",
         format_type(a.atttypid, a.atttypmod) as type,
         case when a.attcollation <> t.typcollation
              then (select format('%I.%I', cn.nspname, co.collname)
                      from pg_collation co
                      join pg_namespace cn on cn.oid = co.collnamespace
                     where co.oid = a.attcollation) end as collation,
         a.attnotnull as "isNotNull", a.attislocal as "isLocal", a.attidentity as identity,
         a.attgenerated as generated, d.oid as "defaultOid",
         pg_get_expr(d.adbin, d.adrelid) as "defaultExpression",
         case when a.attstattarget >= 0 then a.attstattarget end as statistics,
         case when a.attstorage <> t.typstorage then a.attstorage end as storage,
         a.attcompression as compression, ${OPTIONS} as options,
         case when a.attfdwoptions is null then '{}' else
           array(select quote_ident(o.option_name) || ' ' || quote_literal(o.option_value)
                   from pg_options_to_table(a.attfdwoptions) o) end as "foreignOptions",
         a.attacl as acl, i.initprivs as initial,
         coalesce(p.not_null, false) as "inheritsNotNull",
         coalesce(p.has_default, false) as "inheritsDefault",
         coalesce(p.same_generated, false) as "inheritsGenerated"
    from unnest($1::oid[]) wanted(oid)
    join pg_attribute a on a.attrelid = wanted.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_init_privs i
      on i.classoid = 'pg_class'::regclass and i.objoid = a.attrelid and i.objsubid = a.attnum
    left join (
      select h.inhrelid, pa.attname,
             bool_or(${parentNotNull}) as not_null,
             bool_or(pd.oid is not null and pa.attgenerated = '') as has_default,
             bool_and(coalesce(pg_get_expr(pd.adbin, pd.adrelid) = own.expression, false))
               filter (where pa.attgenerated <> '') as same_generated
        from pg_inherits h
        join pg_attribute pa on pa.attrelid = h.inhparent and pa.attnum > 0 and not pa.attisdropped
        left join pg_attrdef pd on pd.adrelid = pa.attrelid and pd.adnum = pa.attnum
        left join lateral (
          select pg_get_expr(cd.adbin, cd.adrelid) as expression
            from pg_attribute ca
            join pg_attrdef cd on cd.adrelid = ca.attrelid and cd.adnum = ca.attnum
           where pa.attgenerated <> '' and ca.attrelid = h.inhrelid and ca.attname = pa.attname
             and not ca.attisdropped) own on true
       where h.inhrelid = any ($1::oid[])
       group by h.inhrelid, pa.attname) p on p.inhrelid = a.attrelid and p.attname = a.attname
   order by a.attrelid, a.attnum`;
}

/** Live columns by oid of their relation; `oids` is the text of an oid array. */
export async function readColumns(
  context: DumpContext,
  oids: string,
): Promise<Map<number, Column[]>> {
  const columns = new Map<number, Column[]>();
  for (const row of await context.session.query(columnsQuery(context.version), [oids])) {
    const column = row as Column;
    const list = columns.get(row.relation);
    if (list === undefined) columns.set(row.relation, [column]);
    else list.push(column);
    if (row.defaultOid !== null) {
      presentDefinition(row.defaultExpression, `DEFAULT ${quoteIdentifier(row.name)}`);
      context.readByFunction.push({ catalog: "pg_attrdef", oid: row.defaultOid });
    }
  }
  return columns;
}

const STORAGE: Record<string, string> = {
  p: "PLAIN",
  e: "EXTERNAL",
  x: "EXTENDED",
  m: "MAIN",
};
const COMPRESSION: Record<string, string> = { p: "pglz", l: "lz4" };

/** What only ALTER TABLE can say of a column, as its actions. */
export function columnActions(column: Column): string[] {
  const alter = `ALTER COLUMN ${quoteIdentifier(column.name)}`;
  const actions: string[] = [];
  if (column.statistics !== null) actions.push(`${alter} SET STATISTICS ${column.statistics}`);
  const storage = column.storage === null ? undefined : STORAGE[column.storage];
  if (storage !== undefined) actions.push(`${alter} SET STORAGE ${storage}`);
  const compression = COMPRESSION[column.compression];
  if (compression !== undefined) actions.push(`${alter} SET COMPRESSION ${compression}`);
  if (column.options !== null && column.options.length > 0) {
    actions.push(`${alter} SET (${optionList(column.options)})`);
  }
  return actions;
}

/** The DEFAULT or GENERATED clause; empty without either. */
export function defaultClause(column: Column): string {
  if (column.defaultExpression === null) return "";
  if (column.generated === "s") {
    return ` GENERATED ALWAYS AS (${column.defaultExpression}) STORED`;
  }
  if (column.generated === "v") return ` GENERATED ALWAYS AS (${column.defaultExpression})`;
  return ` DEFAULT ${column.defaultExpression}`;
}
