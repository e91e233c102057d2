/**
 * Range types; their multirange types come with them.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { Drafts } from "../context.ts";
import { collationNameSql, functionNameSql } from "./catalog_names.ts";
import { isTaken } from "./define.ts";
import { defineShell, defineType, IS_USERS_TYPE, TYPE_COLUMNS, TYPE_FROM } from "./define_type.ts";
import { dropCircularType } from "./drop_circular_type.ts";

const RANGES = `
  select ${TYPE_COLUMNS}, format_type(r.rngsubtype, null) as subtype,
         (select format('%I.%I', mn.nspname, m.typname)
            from pg_type m join pg_namespace mn on mn.oid = m.typnamespace
           where m.oid = r.rngmultitypid) as multirange,
         (select format('%I.%I', pn.nspname, p.opcname)
            from pg_opclass p join pg_namespace pn on pn.oid = p.opcnamespace
           where p.oid = r.rngsubopc and not p.opcdefault) as operator_class,
         ${collationNameSql("nullif(r.rngcollation, st.typcollation)")} as collation,
         ${functionNameSql("r.rngcanonical")} as canonical,
         ${functionNameSql("r.rngsubdiff")} as difference
    from ${TYPE_FROM}
    join pg_range r on r.rngtypid = t.oid
    join pg_type st on st.oid = r.rngsubtype
   where ${IS_USERS_TYPE}
   order by n.nspname, t.typname`;

/** The family of pg_range. */
export const rangeTypesFamily: CatalogFamily = {
  name: "range types",
  catalogs: ["pg_range"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(RANGES)) {
      if (!isTaken(context, row.schema_oid)) continue;
      const name = quoteQualified(row.nspname, row.typname);
      const options = [
        ["subtype", row.subtype],
        ["multirange_type_name", row.multirange],
        ["subtype_opclass", row.operator_class],
        ["collation", row.collation],
        ["canonical", row.canonical],
        ["subtype_diff", row.difference],
      ].filter(([, value]) => value !== null).map(([key, value]) => `\n    ${key} = ${value}`);
      const create = [`CREATE TYPE ${name} AS RANGE (${options.join(",")}\n)`];
      if (row.canonical === null) {
        defineType(context, row, { create });
        continue;
      }
      // The canonical function takes and returns the range: it needs the type's name first.
      defineShell(context, row);
      defineType(context, row, {
        create,
        drop: [dropCircularType(name)],
        dependsOn: [Drafts.key("pg_type", row.oid, "shell")],
      });
    }
  },
};
