/**
 * Changed rights of built-in types and of types of extensions.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { defineRights, FIRST_USER_OID, initialRightsSql, isNoMemberSql } from "./define.ts";
import { TYPE_COLUMNS, TYPE_FROM } from "./define_type.ts";

const TYPES = `
  select ${TYPE_COLUMNS}
    from ${TYPE_FROM}
   where (t.typacl is not null or t.oid in (
           select objoid from pg_init_privs where classoid = 'pg_type'::regclass))
     and t.typacl is distinct from ${initialRightsSql("pg_type", "t.oid")}
     and ((n.nspname in ('pg_catalog', 'information_schema') and t.oid < ${FIRST_USER_OID})
          or not ${isNoMemberSql("pg_type", "t.oid")})
   order by n.nspname, t.typname`;

/** The family of rights on types that are not defined by the backup. */
export const typeRightsFamily: CatalogFamily = {
  name: "rights on types",
  catalogs: [],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(TYPES)) {
      defineRights(context, {
        catalog: "pg_type",
        oid: row.oid,
        schemaOid: row.schema_oid,
        schema: row.nspname,
        name: row.typname,
        row,
      }, { type: "TYPE", name: quoteQualified(row.nspname, row.typname) });
    }
  },
};
