/**
 * How much there is to copy, before anything is known of the tables.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";

const STORED_BYTES = `
  select coalesce(sum(c.relpages::pg_catalog.float8), 0)
         * pg_catalog.current_setting('block_size')::pg_catalog.int4 as bytes
    from pg_catalog.pg_class c
   where c.relkind in ('r', 't') and c.oid >= 16384`;

/** Bytes of all tables, an estimate by what the server has noted: nothing is looked for on its disk. */
export async function estimateStoredBytes(session: Session): Promise<number> {
  const [stored] = await session.query<{ bytes: number }>(STORED_BYTES);
  return stored!.bytes;
}
