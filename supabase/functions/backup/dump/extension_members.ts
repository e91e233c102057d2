/**
 * Which objects belong to extensions: they are made by CREATE EXTENSION, not by entries of their own.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";

const MEMBERS = `
  select c.relname as catalog, d.objid as oid, e.extname as extension
    from pg_depend d
    join pg_extension e on e.oid = d.refobjid
    join pg_class c on c.oid = d.classid
   where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.objsubid = 0`;

/** Extension name by `<catalog>:<oid>` of every member. */
export async function readExtensionMembers(session: Session): Promise<Map<string, string>> {
  const rows = await session.query(MEMBERS);
  return new Map(rows.map((row) => [`${row.catalog}:${row.oid}`, row.extension]));
}
