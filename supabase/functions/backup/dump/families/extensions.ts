/**
 * Extensions: made again by CREATE EXTENSION, in the version that the target offers by default.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { FIRST_USER_OID } from "./define.ts";
import { newDraft } from "./new_draft.ts";

const EXTENSIONS = `
  select e.oid, e.extname, n.nspname, e.extrelocatable, e.extversion
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace
   where e.oid >= ${FIRST_USER_OID}
   order by e.extname`;

/** The family of pg_extension. */
export const extensionsFamily: CatalogFamily = {
  name: "extensions",
  catalogs: ["pg_extension"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(EXTENSIONS)) {
      const name = quoteIdentifier(row.extname);
      const schema = quoteIdentifier(row.nspname);
      context.drafts.add(newDraft({
        catalog: "pg_extension",
        oid: row.oid,
        kind: "extension",
        name: row.extname,
        address: `EXTENSION ${name}`,
        create: [`CREATE EXTENSION IF NOT EXISTS ${name} WITH SCHEMA ${schema}`],
        extensionFacts: {
          version: row.extversion,
          schema: row.nspname,
          relocatable: row.extrelocatable,
        },
      }));
    }
  },
};
