/**
 * `DEPENDS ON EXTENSION`: objects that fall when an extension is dropped, although they are not of it.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";

const DEPENDENCIES = `
  select c.relname as catalog, d.objid as oid, e.extname as extension
    from pg_depend d
    join pg_extension e on e.oid = d.refobjid
    join pg_class c on c.oid = d.classid
   where d.refclassid = 'pg_extension'::regclass and d.deptype = 'x'
     and d.classid in ('pg_class'::regclass, 'pg_trigger'::regclass)
   order by c.relname, d.objid, e.extname`;

/** The family of automatic dependencies on extensions; runs after all others, which make the objects. */
export const extensionDependenciesFamily: CatalogFamily = {
  name: "extension dependencies",
  catalogs: [],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(DEPENDENCIES)) {
      const draft = context.drafts.get(row.catalog, row.oid);
      const host = draft?.inlineIn === undefined ? draft : context.drafts.byKey(draft.inlineIn);
      if (draft === undefined || host === undefined) continue;
      host.create.push(
        `ALTER ${draft.address} DEPENDS ON EXTENSION ${quoteIdentifier(row.extension)}`,
      );
    }
  },
};
