/**
 * Every saved column of every catalog is changed once, and the backup must change with it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { CATALOGS } from "../../supabase/functions/backup/dump/census_catalogs.ts";
import { readDatabase } from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { CLUSTER } from "../support/mutations/cluster.ts";
import { RELATIONS } from "../support/mutations/relations.ts";
import { TYPES_AND_ROUTINES } from "../support/mutations/types_and_routines.ts";
import { testServer } from "../support/servers.ts";

const LISTS = [CLUSTER, TYPES_AND_ROUTINES, RELATIONS];
const CHANGES = Object.assign({}, ...LISTS.map((list) => list.changes)) as Record<string, string>;
const UNCHANGEABLE = Object.assign({}, ...LISTS.map((list) => list.unchangeable)) as Record<
  string,
  string
>;
const ROLES = ["mutation_role", "mutation_role_2", "mutation_role_3"];

const SAVED = Object.entries(CATALOGS).flatMap(([catalog, { saved }]) =>
  saved.split(" ").filter((column) => column !== "").map((column) => `${catalog}.${column}`)
);

const COLUMNS = `
  select c.relname || '.' || a.attname as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r'`;

/** All that a restore makes, without what differs from one making to the next: oids and order. */
async function contentOf(session: Session): Promise<string> {
  const { entries, tableData } = await readDatabase(session, DUMP_OPTIONS);
  const keys = new Map(entries.map((entry) => [entry.key, entry.identity]));
  const conditions = entries.map((entry) => entry.table?.condition ?? null);
  return JSON.stringify([
    entries.map(({ identity, kind, name, owner, statements, extensionFacts }, at) =>
      JSON.stringify([identity, kind, name, owner, statements, extensionFacts, conditions[at]])
    ).sort(),
    tableData.map((data) => keys.get(data.entry)).sort(),
  ]);
}

/** The changes, by what came of them, that the backup did not notice. */
async function unnoticed(session: Session, changes: [string, string][]): Promise<string[]> {
  const found: string[] = [];
  await session.execute("begin");
  const before = await contentOf(session);
  for (const [column, sql] of changes) {
    await session.execute("savepoint one_change");
    try {
      await session.execute(sql);
      if (await contentOf(session) === before) found.push(`${column}: the backup is the same`);
    } catch (error) {
      found.push(`${column}: ${error instanceof Error ? error.message : error}`);
    }
    await session.execute("rollback to one_change");
  }
  await session.execute("rollback");
  return found;
}

/** Makes the databases and gives the unnoticed changes of all lists, each list in a database of its own. */
async function unnoticedOn(
  major: 15 | 16 | 17 | 18,
  isWanted: (column: string) => boolean,
): Promise<{ tried: number; found: string[] }> {
  const server = await testServer(major);
  const admin = await connect({ url: server.url() });
  const lists = LISTS.map(({ setup, changes }, at) => ({
    setup,
    database: at === 0 ? "mutation_db" : `mutation_db_${at + 1}`,
    changes: Object.entries(changes).filter(([column]) => isWanted(column)),
  })).filter(({ changes }) => changes.length > 0);
  const clear = async () => {
    for (const { database } of lists) {
      await admin.execute(`drop database if exists ${database} with (force)`);
    }
    for (const role of ROLES) await admin.execute(`drop role if exists ${role}`);
  };
  const sessions: Session[] = [];
  try {
    await clear();
    for (const role of ROLES) await admin.execute(`create role ${role}`);
    await admin.execute("grant mutation_role_2 to mutation_role_3");
    for (const { setup, database } of lists) {
      await admin.execute(`create database ${database} template template0`);
      const session = await connect({ url: server.url(database) });
      sessions.push(session);
      await session.execute(`set allow_system_table_mods = on; ${setup}`);
      await pinSettings(session);
    }
    const found = await Promise.all(
      lists.map(({ changes }, at) => unnoticed(sessions[at]!, changes)),
    );
    return { tried: lists.flatMap(({ changes }) => changes).length, found: found.flat() };
  } finally {
    for (const session of sessions) {
      await session.execute("rollback; drop subscription if exists c");
      await session.close();
    }
    await clear();
    await admin.close();
  }
}

/** The catalog columns of a server. */
async function columnsOf(major: 15 | 16 | 17 | 18): Promise<Set<string>> {
  const session = await connect({ url: (await testServer(major)).url() });
  try {
    return new Set((await session.query(COLUMNS)).map((row) => row.name));
  } finally {
    await session.close();
  }
}

Deno.test("every saved column has a change, or a reason why it can have none", () => {
  const listed = [...Object.keys(CHANGES), ...Object.keys(UNCHANGEABLE)];
  assert.deepEqual(SAVED.filter((column) => !listed.includes(column)), []);
  assert.deepEqual(listed.filter((column) => !SAVED.includes(column)), []);
  assert.equal(new Set(listed).size, listed.length, "a column stands in two lists");
});

Deno.test("a change of any saved column changes the backup on 17", async () => {
  const columns = await columnsOf(17);
  const { tried, found } = await unnoticedOn(17, (column) => columns.has(column));
  assert.ok(tried > 250);
  assert.deepEqual(found, []);
});

for (const major of [15, 18] as const) {
  Deno.test(`a change of any column of ${major} that 17 does not have changes the backup`, async () => {
    const [columns, known] = [await columnsOf(major), await columnsOf(17)];
    const { tried, found } = await unnoticedOn(
      major,
      (column) => columns.has(column) && !known.has(column),
    );
    assert.ok(tried > 0);
    assert.deepEqual(found, []);
  });
}
