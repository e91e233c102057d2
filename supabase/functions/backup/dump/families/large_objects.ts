/**
 * Large objects: that they are there, whose they are, who may use them. Their bytes are one entry.
 *
 * @module
 */
import type { CatalogFamily, DumpContext } from "../context.ts";
import { takesWholeDatabase } from "./define.ts";
import { newDraft } from "./new_draft.ts";

const LARGE_OBJECTS = `
  select m.oid, r.rolname as owner, m.lomacl as acl, acldefault('L', m.lomowner) as acl_default
    from pg_largeobject_metadata m left join pg_roles r on r.oid = m.lomowner
   order by m.oid`;

/** The family of pg_largeobject_metadata; comments name the catalog pg_largeobject. */
export const largeObjectsFamily: CatalogFamily = {
  name: "large objects",
  catalogs: ["pg_largeobject", "pg_largeobject_metadata"],
  async read(context: DumpContext): Promise<void> {
    if (!takesWholeDatabase(context)) return;
    const rows = await context.session.query(LARGE_OBJECTS);
    for (const row of rows) {
      context.drafts.add(newDraft({
        catalog: "pg_largeobject",
        oid: row.oid,
        kind: "large-object",
        name: String(row.oid),
        address: `LARGE OBJECT ${row.oid}`,
        create: [`SELECT pg_catalog.lo_create(${row.oid}::pg_catalog.oid)`],
        drop: [`SELECT pg_catalog.lo_unlink(${row.oid}::pg_catalog.oid)`],
        owner: row.owner,
        rights: {
          grantType: "LARGE OBJECT",
          grantName: String(row.oid),
          acl: row.acl,
          aclDefault: row.acl_default,
          initial: null,
        },
        largeObject: { oid: row.oid },
      }));
    }
    if (rows.length === 0) return;
    context.drafts.add(newDraft({
      catalog: "pg_largeobject",
      oid: 0,
      part: "data",
      kind: "large-object-data",
      section: "data",
      name: "large objects",
      address: "LARGE OBJECTS",
      drop: [],
      commentable: false,
    }));
  },
};
