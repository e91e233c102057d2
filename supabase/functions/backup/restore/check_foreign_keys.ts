/**
 * Checks foreign keys that stayed in place while rows were loaded with triggers off.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Row, Session } from "../postgres/session.ts";

const FOREIGN_KEYS = `
  select c.conname as name, c.confmatchtype as match,
         format('%I.%I', rn.nspname, r.relname) as child,
         format('%I.%I', pn.nspname, p.relname) as parent,
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
   where c.contype = 'f' and c.convalidated and c.conparentid = 0
     and (c.conrelid = any ($1::regclass[]) or c.confrelid = any ($1::regclass[]))
   order by 3, 1`;

/**
 * Checks every valid foreign key from and to the given tables (quoted and qualified).
 *
 * @throws {BackupError} `restore_mismatch` naming constraint and table when a row refers to nothing
 */
export async function checkForeignKeys(session: Session, tables: readonly string[]): Promise<void> {
  if (tables.length === 0) return;
  const list = `{${tables.map((name) => `"${name.replace(/[\\"]/g, "\\$&")}"`).join(",")}}`;
  for (const key of await session.query(FOREIGN_KEYS, [list])) {
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

/** A query for rows of the child without their row of the parent. */
function orphans(key: Row): string {
  const child = key.child_columns as string[];
  const parent = key.parent_columns as string[];
  const operators = key.operators as string[];
  const same = parent.map((column, at) => `p.${column} ${operators[at]} c.${child[at]}`);
  const all = child.map((column) => `c.${column} IS NOT NULL`).join(" AND ");
  const some = child.map((column) => `c.${column} IS NOT NULL`).join(" OR ");
  const missing = `(${all}) AND NOT EXISTS (SELECT FROM ${key.parent} p WHERE ${
    same.join(" AND ")
  })`;
  // MATCH FULL also forbids a mix of nulls and values.
  const mixed = key.match === "f" ? ` OR (${some}) AND NOT (${all})` : "";
  return `SELECT FROM ${key.child} c WHERE ${missing}${mixed}`;
}
