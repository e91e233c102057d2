/**
 * Small tables that hold settings, such as feature flags: their rows as JSON, and how they come back. A row
 * stays the text that the server wrote, because numbers of JavaScript are shorter than those of PostgreSQL.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { quoteIdentifier, quoteQualified } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";

/** Bytes that a table may have: its rows are held in memory. */
const MOST_BYTES = 8 * 1024 * 1024;

/** A table by schema and name. */
export interface TableName {
  schema: string;
  name: string;
}

/** A table's rows with what is needed to bring them back. */
export interface TableRows {
  /** Columns of the primary key; empty without one. */
  key: string[];
  /** Columns that can be written: not those that are computed. */
  columns: string[];
  /** Each row as an object of JSON. */
  rows: string[];
}

/** Reads `schema.table`, where either name may be quoted. @throws `invalid_config` */
export function parseTableName(text: string): TableName {
  const part = '("(?:[^"]|"")+"|[^".]+)';
  const found = new RegExp(`^${part}\\.${part}$`).exec(text);
  if (found === null) {
    throw new BackupError("invalid_config", `Cannot read ${text}: not the name of a table`, {
      hint: "Write schema.table, with double quotes where a name holds a dot.",
    });
  }
  const [schema = "", name = ""] = found.slice(1).map((word) =>
    word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word
  );
  return { schema, name };
}

/**
 * All rows of a small table, in order of its key; null when there is no such table.
 *
 * @throws `unsupported_object` when it is no ordinary table or too large; the `database_*` codes
 */
export async function readTableRows(session: Session, table: TableName): Promise<TableRows | null> {
  const shape = await readShape(session, table);
  if (shape === null) return null;
  const { key, columns } = shape;
  const order = key.map((column) => `t.${quoteIdentifier(column)}`);
  const rows = await session.query<{ row: string }>(
    `select to_jsonb(t)::text as row from only ${quoteQualified(table.schema, table.name)} t
      order by ${order.length === 0 ? "row" : order.join(", ")}`,
  );
  return { key, columns, rows: rows.map(({ row }) => row) };
}

/** A table without its rows. */
interface TableShape {
  key: string[];
  columns: string[];
  /** Columns that the server counts itself: a new row may be given a value, a row that is there may not. */
  counted: string[];
}

async function readShape(
  session: Session,
  { schema, name }: TableName,
): Promise<TableShape | null> {
  const [found] = await session.query(
    `select c.relkind, pg_catalog.pg_table_size(c.oid) as bytes,
        array(select a.attname::text from pg_catalog.pg_index i
          cross join lateral unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
          join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
          where i.indrelid = c.oid and i.indisprimary order by k.place) as key,
        array(select a.attname::text from pg_catalog.pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
          order by a.attnum) as columns,
        array(select a.attname::text from pg_catalog.pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0 and a.attidentity = 'a') as counted
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [schema, name],
  );
  if (found === undefined) return null;
  const what = `the settings table ${schema}.${name}`;
  if (found.relkind !== "r") {
    throw new BackupError("unsupported_object", `Cannot read ${what}: it is no ordinary table`, {
      hint: "Name ordinary tables in settingsTables; the backup of the database saves all others.",
    });
  }
  if (Number(found.bytes) > MOST_BYTES) {
    throw new BackupError(
      "unsupported_object",
      `Cannot read ${what}: it has ${found.bytes} bytes, at most ${MOST_BYTES} are read here`,
      { hint: "Leave it out of settingsTables; the backup of the database saves it." },
    );
  }
  return { key: found.key, columns: found.columns, counted: found.counted };
}

/** What bringing rows back would do. Only numbers: a plan shows no rows. */
export interface RowsDifference {
  /** Rows that the target lacks. */
  missing: number;
  /** Rows that are otherwise there. */
  different: number;
  /** Rows that only the target has; they stay. */
  extra: number;
}

/**
 * Compares rows by their key, or as a whole where they have none. The server does it: it knows that 1.0
 * and 1.00 are the same number.
 */
export async function compareRows(
  session: Session,
  saved: TableRows,
  found: readonly string[],
): Promise<RowsDifference> {
  const [counts] = await session.query(
    `with sides as (
        select side, r.value as row,
          case when $3::jsonb = '[]' then r.value else
            (select jsonb_agg(r.value -> k.value order by k.place)
              from jsonb_array_elements_text($3::jsonb) with ordinality as k(value, place)) end as key
        from (values ('saved', $1::jsonb), ('found', $2::jsonb)) as s(side, rows)
        cross join lateral jsonb_array_elements(s.rows) as r)
      select count(*) filter (where f.row is null) as missing,
        count(*) filter (where s.row <> f.row) as different,
        count(*) filter (where s.row is null) as extra
      from (select * from sides where side = 'saved') s
      full join (select * from sides where side = 'found') f on s.key = f.key`,
    [toArray(saved.rows), toArray(found), JSON.stringify(saved.key)],
  );
  return {
    missing: Number(counts?.missing),
    different: Number(counts?.different),
    extra: Number(counts?.extra),
  };
}

function toArray(rows: readonly string[]): string {
  return `[${rows.join(",")}]`;
}

/**
 * Brings saved rows back with one statement: missing ones are added, different ones changed, others stay.
 *
 * @throws `target_unfit` when the table is gone, has no primary key or lacks columns; `database_*`
 */
export async function writeTableRows(
  session: Session,
  table: TableName,
  saved: TableRows,
): Promise<void> {
  const shape = await readShape(session, table);
  const unfit = whyUnfit(saved, shape);
  if (shape === null || unfit !== null) {
    throw new BackupError(
      "target_unfit",
      `Cannot restore the rows of ${table.schema}.${table.name}: ${unfit}`,
      { hint: "Restore the table with the backup of the database." },
    );
  }
  const name = quoteQualified(table.schema, table.name);
  const list = (columns: readonly string[]) => columns.map(quoteIdentifier).join(", ");
  const fixed = [...shape.key, ...shape.counted];
  const set = saved.columns.filter((column) => !fixed.includes(column))
    .map((column) => `${quoteIdentifier(column)} = excluded.${quoteIdentifier(column)}`);
  await session.query(
    `insert into ${name} (${list(saved.columns)}) overriding system value
      select ${list(saved.columns)}
        from pg_catalog.jsonb_populate_recordset(null::${name}, $1::jsonb)
      on conflict (${list(shape.key)})
        do ${set.length === 0 ? "nothing" : `update set ${set.join(", ")}`}`,
    [toArray(saved.rows)],
  );
}

function whyUnfit(saved: TableRows, shape: TableShape | null): string | null {
  if (shape === null) return "there is no such table";
  if (shape.key.length === 0) return "it has no primary key";
  const lacking = saved.columns.filter((column) => !shape.columns.includes(column));
  return lacking.length === 0 ? null : `it lacks the columns ${lacking.join(", ")}`;
}
