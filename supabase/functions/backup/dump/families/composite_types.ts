/**
 * Composite types that stand alone; the row types of tables come with their tables.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { collationNameSql } from "./catalog_names.ts";
import { isTaken } from "./define.ts";
import { defineType, IS_USERS_TYPE, TYPE_COLUMNS, TYPE_FROM } from "./define_type.ts";

// The collation is written only where it differs from the one of the column's type.
const COMPOSITES = `
  select ${TYPE_COLUMNS},
         array(select format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
                      || coalesce(' COLLATE ' || ${
  collationNameSql("nullif(a.attcollation, at.typcollation)")
}, '')
                 from pg_attribute a join pg_type at on at.oid = a.atttypid
                where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
                order by a.attnum) as columns
    from ${TYPE_FROM}
    join pg_class c on c.oid = t.typrelid
   where t.typtype = 'c' and c.relkind = 'c' and ${IS_USERS_TYPE}
   order by n.nspname, t.typname`;

/** The family of composite types. */
export const compositeTypesFamily: CatalogFamily = {
  name: "composite types",
  catalogs: ["pg_type", "pg_class", "pg_attribute"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(COMPOSITES)) {
      if (!isTaken(context, row.schema_oid)) continue;
      const columns = row.columns.map((column: string) => `\n    ${column}`).join(",");
      const name = quoteQualified(row.nspname, row.typname);
      defineType(context, row, { create: [`CREATE TYPE ${name} AS (${columns}\n)`] });
    }
  },
};
