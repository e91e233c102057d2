/**
 * Looks at tables of a live database: whether they are there, hold rows and can be read. What it does is
 * bounded, however large they are.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import { refuseViewsOfUsers } from "../../postgres/pinned_settings.ts";
import type { Row, Session } from "../../postgres/session.ts";

/** A table to look at. */
export interface NamedTable {
  schema: string;
  name: string;
  /** Quoted and qualified. */
  sqlName: string;
}

/** What was found of it. */
export interface TableLook {
  isThere: boolean;
  /** Null when that could not be told. */
  hasRows: boolean | null;
  /** What the server says of data that it cannot read; null when it can, as far as was tried. */
  unreadable: string | null;
  /** Why something could not be told; null when all could. */
  unknown: string | null;
}

/** Pages of one table that are read, at random; a smaller table is read whole. */
const SAMPLED_PAGES = 200;

/** Pages that are read of all tables together. */
const MOST_PAGES = 20_000;

/** What one statement may take. */
const STATEMENT_MS = 10_000;

/** Tables that one statement looks at. */
const TABLES_AT_ONCE = 100;

/** Tables beside the known ones: that are considered, and that are looked at. */
const MOST_STRANGERS = 200;
const MOST_LOOKED_AT = 20;

/** A relation of that name that is there. */
interface Found {
  at: number;
  kind: string;
  pages: number;
}

/** In the order of the tables. @throws `database_*` when the connection fails */
export async function lookAtTables(
  session: Session,
  tables: readonly NamedTable[],
): Promise<TableLook[]> {
  await session.execute(`
    SET default_transaction_read_only = on; SET row_security = off;
    SET statement_timeout = ${STATEMENT_MS}; SET lock_timeout = ${STATEMENT_MS / 2}`);
  await refuseViewsOfUsers(session);
  const looks = tables.map((): TableLook => ({
    ...{ isThere: false, hasRows: null, unreadable: null, unknown: null },
  }));
  const found = await findTables(session, tables);
  for (const { at, kind } of found) {
    looks[at]!.isThere = true;
    if (!["r", "p"].includes(kind)) looks[at]!.unknown = "it is no table any more";
  }
  const stored = found.filter(({ kind }) => kind === "r");
  await findRows(session, { tables, looks, stored });
  await readSamples(session, { tables, looks, stored });
  return looks;
}

async function findTables(session: Session, tables: readonly NamedTable[]): Promise<Found[]> {
  const rows = await session.query(
    `
    select w.at, c.relkind as kind, pg_catalog.pg_relation_size(c.oid)
        / pg_catalog.current_setting('block_size')::pg_catalog.int8 as pages
      from pg_catalog.json_to_recordset($1::pg_catalog.json)
          as w (at pg_catalog.int4, schema pg_catalog.text, name pg_catalog.text)
      join pg_catalog.pg_namespace n on n.nspname = w.schema
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
     where c.relkind in ('r', 'p', 'v', 'm', 'f')
     order by w.at`,
    [JSON.stringify(tables.map(({ schema, name }, at) => ({ at, schema, name })))],
  );
  return rows.map((row) => ({
    at: Number(row.at),
    kind: String(row.kind),
    pages: Number(row.pages ?? 0),
  }));
}

interface Looking {
  tables: readonly NamedTable[];
  looks: TableLook[];
  stored: readonly Found[];
}

/** What is no table of the project's own. */
export interface Others {
  schemas: readonly string[];
  /** Unquoted, such as `public.notes`. */
  tables: readonly string[];
}

/** A table beside the known ones. */
export interface OtherTable extends NamedTable {
  columns: string[];
}

/** Tables with rows beside the known ones that are sought, largest first and a bounded number of them. */
export async function findStrangers(
  session: Session,
  known: readonly NamedTable[],
  { others, isSought }: { others: Others; isSought: (table: OtherTable) => boolean },
): Promise<OtherTable[]> {
  const rows = await session.query(
    `
    select n.nspname as schema, c.relname as name,
           pg_catalog.format('%I.%I', n.nspname, c.relname) as sql_name,
           array(select a.attname::pg_catalog.text from pg_catalog.pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and c.relpersistence = 'p'
       and n.nspname not in ('pg_catalog', 'information_schema')
       and (c.relkind = 'p' or pg_catalog.pg_relation_size(c.oid) > 0)
       and not exists (select from pg_catalog.json_array_elements_text($1::pg_catalog.json) as o (name)
             where o.name in (n.nspname, pg_catalog.concat(n.nspname, '.', c.relname)))
       and not exists (select from pg_catalog.json_to_recordset($2::pg_catalog.json)
                 as k (schema pg_catalog.text, name pg_catalog.text)
             where k.schema = n.nspname and k.name = c.relname)
       and not exists (select from pg_catalog.pg_depend e
             where e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and e.objid = c.oid
               and e.deptype = 'e')
     order by pg_catalog.pg_relation_size(c.oid) desc, sql_name
     limit ${MOST_STRANGERS}`,
    [
      JSON.stringify([...others.schemas, ...others.tables]),
      JSON.stringify(known.map(({ schema, name }) => ({ schema, name }))),
    ],
  );
  const found = rows.map(({ schema, name, sql_name, columns }): OtherTable => ({
    ...{ schema: String(schema), name: String(name), sqlName: String(sql_name) },
    columns: columns as string[],
  })).filter(isSought).slice(0, MOST_LOOKED_AT);
  const looks = await lookAtTables(session, found);
  return found.filter((_, at) => looks[at]!.hasRows !== false);
}

async function findRows(session: Session, { tables, looks, stored }: Looking): Promise<void> {
  await askOfEach(session, {
    ...{ looks, group: stored },
    sqlOf: ({ at }) =>
      `select ${at} as at, exists (select from only ${tables[at]!.sqlName}) as has_rows`,
    onRow: ({ at, has_rows }) => looks[Number(at)]!.hasRows = has_rows === true,
  });
}

async function readSamples(session: Session, { tables, looks, stored }: Looking): Promise<void> {
  let left = MOST_PAGES;
  const percents = new Map<number, string>();
  for (const { at, pages } of stored) {
    const { unreadable, unknown } = looks[at]!;
    if (pages === 0 || left <= 0 || unreadable !== null || unknown !== null) continue;
    const wanted = Math.min(SAMPLED_PAGES, left);
    percents.set(at, Math.min(100, 100 * wanted / pages).toFixed(6));
    left -= Math.min(pages, wanted);
  }
  await askOfEach(session, {
    ...{ looks, group: stored.filter(({ at }) => percents.has(at)) },
    sqlOf: ({ at }) =>
      `select pg_catalog.count(*) as read from only ${tables[at]!.sqlName} ` +
      `tablesample system (${percents.get(at)})`,
    onRow: () => {}, // that it could be read is the answer
  });
}

/** What is asked of tables, many in one round trip. */
interface Asking {
  looks: TableLook[];
  group: readonly Found[];
  sqlOf: (found: Found) => string;
  onRow: (row: Row) => void;
}

/** One that fails is found by asking of each by itself. */
async function askOfEach(session: Session, { looks, group, sqlOf, onRow }: Asking): Promise<void> {
  const ask = async (some: readonly Found[]) => {
    for (const row of await session.query(some.map(sqlOf).join(" union all "))) onRow(row);
  };
  for (let from = 0; from < group.length; from += TABLES_AT_ONCE) {
    const some = group.slice(from, from + TABLES_AT_ONCE);
    try {
      await ask(some);
    } catch (error) {
      refuseLostSession(error);
      for (const one of some) await note(looks[one.at]!, () => ask([one]));
    }
  }
}

/** Keeps what the server says of one table. @throws when the connection is gone */
async function note(look: TableLook, ask: () => Promise<void>): Promise<void> {
  const first = await refusalOf(ask);
  // Such a code may also be a moment's: of a table that changes just then, or a device that stumbles.
  const refusal = first !== null && isDamage(first) ? await refusalOf(ask) : first;
  if (refusal === null) return;
  if (isDamage(refusal)) look.unreadable = refusal.facts.serverMessage;
  // Gone between two looks: the next assessment sees it.
  else look.unknown = refusal.facts.serverMessage;
}

async function refusalOf(ask: () => Promise<void>): Promise<DatabaseError | null> {
  try {
    await ask();
    return null;
  } catch (error) {
    refuseLostSession(error);
    return error;
  }
}

/** Passes on what is not the server's refusal of one statement. */
function refuseLostSession(error: unknown): asserts error is DatabaseError {
  if (!(error instanceof DatabaseError) || error.fatal) throw toBackupError(error);
}

/** Data corrupted, a file that cannot be read or is gone, and what damaged pointers surface as. */
function isDamage({ sqlState }: DatabaseError): boolean {
  return ["XX000", "XX001", "XX002", "58030", "58P01"].includes(sqlState);
}
