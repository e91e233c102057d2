/**
 * Changed rights of built-in routines and of routines of extensions.
 *
 * @module
 */
import type { CatalogFamily, DumpContext } from "../context.ts";
import { defineRights, FIRST_USER_OID, initialRightsSql, isNoMemberSql } from "./define.ts";
import { ROUTINE_COLUMNS, ROUTINE_FROM, routineSignature } from "./routine.ts";

const ROUTINES = `
  select ${ROUTINE_COLUMNS}
    from ${ROUTINE_FROM}
   where (p.proacl is not null or p.oid in (
           select objoid from pg_init_privs where classoid = 'pg_proc'::regclass))
     and p.proacl is distinct from ${initialRightsSql("pg_proc", "p.oid")}
     and ((n.nspname in ('pg_catalog', 'information_schema') and p.oid < ${FIRST_USER_OID})
          or not ${isNoMemberSql("pg_proc", "p.oid")})
   order by n.nspname, p.proname, p.oid`;

// Nothing can be restored into a system schema without breaking the next upgrade of the server.
const STRAYS = `
  select ${ROUTINE_COLUMNS}
    from ${ROUTINE_FROM}
   where n.nspname in ('pg_catalog', 'information_schema') and p.oid >= ${FIRST_USER_OID}
     and ${isNoMemberSql("pg_proc", "p.oid")}
   order by n.nspname, p.proname, p.oid`;

/** The family of rights on routines that are not defined by the backup. */
export const routineRightsFamily: CatalogFamily = {
  name: "rights on routines",
  catalogs: [],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(ROUTINES)) {
      const { keyword, signature } = routineSignature(row);
      defineRights(context, {
        catalog: "pg_proc",
        oid: row.oid,
        schemaOid: row.schema_oid,
        schema: row.nspname,
        name: row.proname,
        row,
      }, { type: keyword, name: signature });
    }
    for (const row of await context.session.query(STRAYS)) {
      if (context.schemas.get(row.schema_oid)?.take !== "rights") continue;
      const { keyword, signature } = routineSignature(row);
      context.remarks.push(`${keyword} ${signature} stands in a system schema and is not saved`);
    }
  },
};
