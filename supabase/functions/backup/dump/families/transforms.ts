/**
 * Transforms between types and procedural languages.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionSignatureSql } from "./catalog_names.ts";
import { define, FIRST_USER_OID, isNoMemberSql, takesWholeDatabase } from "./define.ts";

const TRANSFORMS = `
  select t.oid, format_type(t.trftype, null) as type, l.lanname,
         ${functionSignatureSql("t.trffromsql")} as from_sql,
         ${functionSignatureSql("t.trftosql")} as to_sql
    from pg_transform t join pg_language l on l.oid = t.trflang
   where t.oid >= ${FIRST_USER_OID} and ${isNoMemberSql("pg_transform", "t.oid")}
   order by type, l.lanname`;

/** The family of pg_transform. */
export const transformsFamily: CatalogFamily = {
  name: "transforms",
  catalogs: ["pg_transform"],
  async read(context: DumpContext): Promise<void> {
    if (!takesWholeDatabase(context)) return;
    for (const row of await context.session.query(TRANSFORMS)) {
      const address = `TRANSFORM FOR ${row.type} LANGUAGE ${quoteIdentifier(row.lanname)}`;
      const functions = [
        row.from_sql === null ? null : `FROM SQL WITH FUNCTION ${row.from_sql}`,
        row.to_sql === null ? null : `TO SQL WITH FUNCTION ${row.to_sql}`,
      ].filter((clause) => clause !== null);
      define(context, {
        catalog: "pg_transform",
        oid: row.oid,
        kind: "transform",
        schema: null,
        name: `${row.type} ${row.lanname}`,
        address,
        owner: null,
        create: [`CREATE ${address} (${functions.join(", ")})`],
      });
    }
  },
};
