/**
 * Access methods of tables and indexes.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionNameSql } from "./catalog_names.ts";
import { define, FIRST_USER_OID, isNoMemberSql, takesWholeDatabase } from "./define.ts";

const ACCESS_METHODS = `
  select a.oid, a.amname, a.amtype, ${functionNameSql("a.amhandler")} as handler
    from pg_am a
   where a.oid >= ${FIRST_USER_OID} and ${isNoMemberSql("pg_am", "a.oid")}
   order by a.amname`;

const TYPES: Readonly<Record<string, string>> = { i: "INDEX", t: "TABLE" };

/** The family of pg_am. */
export const accessMethodsFamily: CatalogFamily = {
  name: "access methods",
  catalogs: ["pg_am"],
  async read(context: DumpContext): Promise<void> {
    if (!takesWholeDatabase(context)) return;
    for (const row of await context.session.query(ACCESS_METHODS)) {
      const address = `ACCESS METHOD ${quoteIdentifier(row.amname)}`;
      const type = TYPES[row.amtype];
      if (type === undefined) {
        throw new BackupError("unsupported_object", `Cannot save ${address}: its type is unknown`, {
          hint: "Update to a release that knows this version of PostgreSQL.",
        });
      }
      define(context, {
        catalog: "pg_am",
        oid: row.oid,
        kind: "access-method",
        schema: null,
        name: row.amname,
        address,
        owner: null,
        create: [`CREATE ${address} TYPE ${type} HANDLER ${row.handler}`],
      });
    }
  },
};
