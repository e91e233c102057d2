/**
 * Tablespaces of the cluster, without what lies in them.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { newDraft } from "./new_draft.ts";
import { optionList } from "./options.ts";

const TABLESPACES = `
  select t.oid, t.spcname, r.rolname as owner, pg_tablespace_location(t.oid) as location,
         t.spcacl as acl, acldefault('t', t.spcowner) as acl_default, t.spcoptions as options
    from pg_tablespace t
    left join pg_roles r on r.oid = t.spcowner
   where t.spcname !~ '^pg_'
   order by t.spcname`;

/** The family of pg_tablespace. */
export const tablespacesFamily: CatalogFamily = {
  name: "tablespaces",
  catalogs: ["pg_tablespace"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(TABLESPACES)) {
      const name = quoteIdentifier(row.spcname);
      // An in-place tablespace has a relative path and is made with an empty one.
      const location = row.location.startsWith("/") ? row.location : "";
      const create = [`CREATE TABLESPACE ${name} LOCATION ${quoteLiteral(location)}`];
      if (row.options !== null) {
        create.push(`ALTER TABLESPACE ${name} SET (${optionList(row.options)})`);
      }
      context.drafts.add(newDraft({
        catalog: "pg_tablespace",
        oid: row.oid,
        kind: "tablespace",
        name: row.spcname,
        address: `TABLESPACE ${name}`,
        create,
        owner: row.owner,
        rights: {
          grantType: "TABLESPACE",
          grantName: name,
          acl: row.acl,
          aclDefault: row.acl_default,
          initial: null,
        },
      }));
    }
  },
};
