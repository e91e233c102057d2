/**
 * The tables of a backup: as a look at the catalog finds them, and as a backend holds their locks.
 *
 * @module
 */
import { quoteQualified } from "../postgres/quote.ts";
import type { Row, Session } from "../postgres/session.ts";
import type { DumpOptions } from "./context.ts";
import { isSelected } from "./families/relations.ts";
import { takeOfSchema } from "./selection.ts";

/** A table as one look at the catalog saw it. */
export interface FoundTable {
  oid: number;
  sqlName: string;
  relfilenode: number;
  readable: boolean;
}

const TABLES = `
  select c.oid, n.nspname, c.relname, c.relfilenode,
         pg_catalog.has_schema_privilege(n.oid, 'USAGE')
           and pg_catalog.has_table_privilege(c.oid, 'SELECT') as readable,
         exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
                    and d.deptype = 'e') as of_extension
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p') and c.relpersistence <> 't'
     and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
   order by n.nspname, c.relname`;

/** Tables that a backend holds, by oid, with the file that each has now, whatever the snapshot. */
const HELD = `
  select l.relation as oid, pg_catalog.pg_relation_filenode(l.relation) as filenode
    from pg_catalog.pg_locks l
   where l.pid = $1 and l.locktype = 'relation'
     and l.mode = 'AccessShareLock' and l.granted
     and l.database = (select d.oid from pg_catalog.pg_database d
                        where d.datname = pg_catalog.current_database())`;

/** The tables whose rows may be saved, as the session sees them. */
export async function findTables(session: Session, dump: DumpOptions): Promise<FoundTable[]> {
  const rows = await session.query(TABLES);
  // Rows of an extension's tables are saved wherever these are, when the extension says so.
  const wanted = (row: Row) =>
    row.of_extension ||
    takeOfSchema(dump, row.nspname) === "all" && isSelected(dump, row.nspname, row.relname);
  return rows.filter(wanted).map((row: Row) => ({
    oid: row.oid,
    sqlName: quoteQualified(row.nspname, row.relname),
    relfilenode: row.relfilenode,
    readable: row.readable,
  }));
}

/**
 * Compares what a snapshot shows with what the backend that holds it has locked, and with the tables'
 * files as they are now: what is different, in words, or null.
 */
export async function findDifference(
  session: Session,
  { seen, holder }: { seen: readonly FoundTable[]; holder: number },
): Promise<string | null> {
  const held = new Map<number, number>();
  for (const row of await session.query(HELD, [holder])) {
    held.set(row.oid, Number(row.filenode ?? 0));
  }
  for (const table of seen) {
    if (!table.readable) continue;
    const filenode = held.get(table.oid);
    if (filenode === undefined) return `${table.sqlName} appeared in between`;
    if (filenode !== table.relfilenode) return `${table.sqlName} was rewritten in between`;
  }
  return null;
}
