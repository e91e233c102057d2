/**
 * Casts. They have neither name nor schema: those of initdb are known by their oid.
 *
 * @module
 */
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionSignatureSql } from "./catalog_names.ts";
import { define, FIRST_USER_OID, isNoMemberSql, takesWholeDatabase } from "./define.ts";

// The cast of a range to its multirange comes with the range.
const CASTS = `
  select c.oid, c.castmethod, c.castcontext, format_type(c.castsource, null) as source,
         format_type(c.casttarget, null) as target,
         ${functionSignatureSql("c.castfunc")} as function
    from pg_cast c
   where c.oid >= ${FIRST_USER_OID} and ${isNoMemberSql("pg_cast", "c.oid")}
     and not exists (select from pg_range r
           where r.rngtypid = c.castsource and r.rngmultitypid = c.casttarget)
   order by source, target`;

const CONTEXTS: Readonly<Record<string, string>> = { a: " AS ASSIGNMENT", i: " AS IMPLICIT" };

/** The family of pg_cast. */
export const castsFamily: CatalogFamily = {
  name: "casts",
  catalogs: ["pg_cast"],
  async read(context: DumpContext): Promise<void> {
    if (!takesWholeDatabase(context)) return;
    for (const row of await context.session.query(CASTS)) {
      const address = `CAST (${row.source} AS ${row.target})`;
      define(context, {
        catalog: "pg_cast",
        oid: row.oid,
        kind: "cast",
        schema: null,
        name: `${row.source} AS ${row.target}`,
        address,
        owner: null,
        create: [`CREATE ${address} ${methodOf(row)}${CONTEXTS[row.castcontext] ?? ""}`],
      });
    }
  },
};

function methodOf(row: Row): string {
  if (row.castmethod === "b") return "WITHOUT FUNCTION";
  return row.castmethod === "i" ? "WITH INOUT" : `WITH FUNCTION ${row.function}`;
}
