/**
 * What is done to the tables before and after their rows come: locks, triggers, sequences.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Session } from "../../postgres/session.ts";
import type { TargetTable } from "./match_tables.ts";

/** Locks the tables against other writers; readers go on. @throws {BackupError} `lock_timeout` */
export async function lockForImport(
  session: Session,
  tables: readonly TargetTable[],
  timeoutMs: number,
): Promise<void> {
  await session.execute(`SET LOCAL lock_timeout = ${Math.max(1, Math.trunc(timeoutMs))}`);
  for (const { sqlName } of tables) {
    try {
      await session.execute(`LOCK TABLE ${sqlName} IN SHARE ROW EXCLUSIVE MODE`);
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== "lock_timeout") throw error;
      throw new BackupError(
        "lock_timeout",
        `Cannot import into ${sqlName}: another transaction held it for more than ${timeoutMs} ms`,
        { hint: "Nothing was changed. End that transaction, or wait longer.", cause: error },
      );
    }
  }
}

/**
 * Empties the tables, together because foreign keys among them stay.
 *
 * @throws {BackupError} `target_unfit` naming tables outside that refer to one of them
 */
export async function emptyTables(session: Session, tables: readonly TargetTable[]): Promise<void> {
  if (tables.length === 0) return;
  // A partitioned table whose partitions are all emptied goes with them: keys are its own, too.
  const wholes = await session.query(
    `select c.oid, c.oid::pg_catalog.regclass::text as name from pg_catalog.pg_class c
      where c.relkind = 'p' and c.oid <> all ($1::oid[])
        and (select pg_catalog.bool_and(t.relid = any ($1::oid[]))
               from pg_catalog.pg_partition_tree(c.oid) t where t.isleaf)`,
    [oidsOf(tables)],
  );
  const emptied = oidsOf([...tables, ...wholes.map(({ oid }) => ({ oid: oid as number }))]);
  const references = await session.query(
    `select distinct conrelid::pg_catalog.regclass::text as "from",
            confrelid::pg_catalog.regclass::text as "to"
       from pg_catalog.pg_constraint
      where contype = 'f' and confrelid = any ($1::oid[]) and conrelid <> all ($1::oid[])`,
    [emptied],
  );
  if (references.length > 0) {
    const shown = references.slice(0, 10).map(({ from, to }) => `${from} refers to ${to}`);
    throw new BackupError("target_unfit", `Cannot replace the rows: ${shown.join(", ")}`, {
      hint: "Nothing was changed. Import the referring tables too, or choose mode skip-existing.",
    });
  }
  const names = [...tables.map(({ source }) => source), ...wholes.map(({ name }) => name)];
  await session.execute(`TRUNCATE ${names.join(", ")}`);
}

/** Foreign keys from a table to one that comes later, by the constraint that can be altered. */
const EARLY = `
  with recursive place as (
    select oid, place from pg_catalog.unnest($1::oid[]) with ordinality as p (oid, place)
  ), early as (
    select c.oid, c.conparentid
      from pg_catalog.pg_constraint c
      join place f on f.oid = c.conrelid
      join place t on t.oid = c.confrelid and t.place > f.place
     where c.contype = 'f' and not c.condeferrable
       and (pg_catalog.to_jsonb(c)->>'conenforced') is distinct from 'false'
    union
    select c.oid, c.conparentid
      from early e join pg_catalog.pg_constraint c on c.oid = e.conparentid
  )
  select pg_catalog.format('%I.%I', n.nspname, r.relname) as "table",
         pg_catalog.quote_ident(c.conname) as name
    from early e join pg_catalog.pg_constraint c on c.oid = e.oid
    join pg_catalog.pg_class r on r.oid = c.conrelid
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
   where e.conparentid = 0`;

/**
 * Lets foreign keys wait until all rows are there. Tables come in the order of their rows, so only loops
 * among them need this. Gives back the statements that make the keys as they were.
 */
export async function deferForeignKeys(
  session: Session,
  tables: readonly TargetTable[],
): Promise<string[]> {
  const back: string[] = [];
  for (const { table, name } of await session.query(EARLY, [oidsOf(tables)])) {
    const alter = `ALTER TABLE ${table} ALTER CONSTRAINT ${name}`;
    await session.execute(`${alter} DEFERRABLE`);
    back.push(`${alter} NOT DEFERRABLE`);
  }
  await session.execute("SET CONSTRAINTS ALL DEFERRED");
  return back;
}

function oidsOf(tables: readonly { oid: number }[]): string {
  return `{${tables.map(({ oid }) => oid).join(",")}}`;
}

/** Silences the tables' own triggers; gives back the statements that wake them as they were. */
export async function silenceTriggers(
  session: Session,
  tables: readonly TargetTable[],
): Promise<string[]> {
  const wake: string[] = [];
  for (const { oid, sqlName } of tables) {
    const triggers = await session.query(
      `select tgname::text as name, tgenabled::text as state from pg_catalog.pg_trigger
        where tgrelid = $1::oid and not tgisinternal and tgenabled <> 'D'`,
      [oid],
    );
    for (const { name, state } of triggers) {
      const how = state === "A" ? "ALWAYS " : state === "R" ? "REPLICA " : "";
      const trigger = `TRIGGER ${quoteIdentifier(name)}`;
      await session.execute(`ALTER TABLE ${sqlName} DISABLE ${trigger}`);
      wake.push(`ALTER TABLE ${sqlName} ENABLE ${how}${trigger}`);
    }
  }
  return wake;
}

const OWNED = `
  select pg_catalog.format('%I.%I', n.nspname, s.relname) as sequence, a.attname::text as column,
         q.seqincrement > 0 as ascends, q.seqmin::text as least, q.seqmax::text as most
    from pg_catalog.pg_depend d
    join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
    join pg_catalog.pg_namespace n on n.oid = s.relnamespace
    join pg_catalog.pg_sequence q on q.seqrelid = s.oid
    join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
   where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = d.classid
     and d.refobjid = $1::oid and d.deptype in ('a', 'i')
     and a.atttypid in ('int2'::pg_catalog.regtype, 'int4'::pg_catalog.regtype, 'int8'::pg_catalog.regtype)`;

/**
 * Moves the sequences of identity and serial columns past the values that came; never back. It cannot be
 * undone by the transaction, so it comes last.
 */
export async function moveSequences(session: Session, target: TargetTable): Promise<void> {
  for (
    const { sequence, column, ascends, least, most } of await session.query(OWNED, [target.oid])
  ) {
    const [extreme, further] = ascends ? ["max", ">"] : ["min", "<"];
    await session.execute(
      `SELECT pg_catalog.setval(${quoteLiteral(sequence)}::pg_catalog.regclass, f.value)
         FROM (SELECT ${extreme}(${
        quoteIdentifier(column)
      })::int8 AS value FROM ${target.source}) f, ${sequence} s
        WHERE f.value BETWEEN ${least} AND ${most}
          AND (f.value ${further} s.last_value OR f.value = s.last_value AND NOT s.is_called)`,
    );
  }
}
