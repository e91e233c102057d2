/**
 * Which objects belong to extensions: they are made by CREATE EXTENSION, not by entries of their own.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";

const MEMBERS = `
  select d.classid::regclass::text as catalog, d.objid as oid, e.extname as extension
    from pg_depend d
    join pg_extension e on e.oid = d.refobjid
   where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.objsubid = 0`;

/** Extension name by `<catalog>:<oid>` of every member. */
export async function readExtensionMembers(session: Session): Promise<Map<string, string>> {
  const members = new Map<string, string>();
  for (const row of await session.query(MEMBERS)) {
    members.set(
      `${row.catalog.replace(/^"?pg_catalog"?\./, "").replaceAll('"', "")}:${row.oid}`,
      row.extension,
    );
  }
  return members;
}
