/**
 * Schemas, and which of them are saved. Runs before every other family.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { rightsOfNewPublic } from "../rights.ts";
import { isManagedSchema, takeOfSchema } from "../selection.ts";

const SCHEMAS = `
  select n.oid, n.nspname, r.rolname as owner, n.nspacl as acl,
         acldefault('n', n.nspowner) as acl_default, i.initprivs as initial
    from pg_namespace n
    left join pg_roles r on r.oid = n.nspowner
    left join pg_init_privs i
      on i.classoid = 'pg_namespace'::regclass and i.objoid = n.oid and i.objsubid = 0
   order by n.nspname`;

/** The family of pg_namespace. */
export const schemasFamily: CatalogFamily = {
  name: "schemas",
  catalogs: ["pg_namespace"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(SCHEMAS)) {
      const take = takeOfSchema(context.options, row.nspname);
      const managed = isManagedSchema(context.options, row.nspname);
      context.schemas.set(row.oid, { oid: row.oid, name: row.nspname, managed, take });
      if (take === "none") continue;
      const name = quoteIdentifier(row.nspname);
      const extension = context.extensionMembers.get(`pg_namespace:${row.oid}`);
      // An extension that brings its schema makes it itself; only its rights are the user's.
      const isRights = take === "rights" || extension !== undefined;
      // Every database has public: it is altered, never created.
      const create = isRights || row.nspname === "public" ? [] : [`CREATE SCHEMA ${name}`];
      context.drafts.add({
        catalog: "pg_namespace",
        oid: row.oid,
        part: null,
        kind: isRights ? "acl" : "schema",
        section: "pre-data",
        schema: null,
        name: row.nspname,
        create,
        drop: create.length === 0 ? [] : [`DROP SCHEMA ${name}`],
        address: `SCHEMA ${name}`,
        owner: isRights ? null : row.owner,
        rights: {
          grantType: "SCHEMA",
          grantName: name,
          acl: row.acl,
          aclDefault: row.acl_default,
          initial: row.nspname === "public" ? rightsOfNewPublic(row.acl_default) : row.initial,
        },
        commentable: !isRights,
        dependsOn: [],
        ...(extension === undefined ? {} : { extension }),
      });
    }
  },
};
