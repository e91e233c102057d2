import assert from "node:assert/strict";
import type { Entry, EntryKind } from "../../supabase/functions/backup/core/model.ts";
import { type DatabaseReading, readDatabase } from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

const FIXTURE = new URL("../fixtures/types_and_functions.sql", import.meta.url);

/** Collations that only newer servers know. */
const SINCE: readonly [number, string][] = [
  [160000, "create collation a.rules (provider=icu, locale='und', rules='&a < b')"],
  [170000, "create collation a.built (provider=builtin, locale='C.UTF-8')"],
  [180000, "create collation a.built2 (provider=builtin, locale='PG_UNICODE_FAST')"],
];

const KINDS: readonly EntryKind[] = [
  "collation",
  "transform",
  "shell-type",
  "type",
  "domain-constraint",
  "cast",
  "function",
  "aggregate",
  "access-method",
  "operator",
  "operator-family",
  "operator-class",
  "conversion",
  "text-search-parser",
  "text-search-template",
  "text-search-dictionary",
  "text-search-configuration",
  "acl",
];

/** What belongs to the server and is there already. */
const OF_CLUSTER = /^(role|tablespace|database)/;

for (const major of [15, 17] as const) {
  Deno.test(`types, functions and their kin come back as they were on PostgreSQL ${major}`, async () => {
    await withDatabases(major, async ({ source, target }) => {
      const read = await readModel(source);
      const kinds = new Set(read.entries.map((entry) => entry.kind));
      assert.deepEqual(KINDS.filter((kind) => !kinds.has(kind)), [], "kinds that were not read");

      await run(target, read.entries, ["create", "owner", "comment", "label"]);
      await run(target, read.entries, ["acl"]);
      const again = await readModel(target);
      assert.deepEqual(statementsByIdentity(again), statementsByIdentity(read));
    });
  });
}

Deno.test("dropping in the reverse order leaves nothing of the user's", async () => {
  await withDatabases(17, async ({ source }) => {
    const { entries } = await readModel(source);
    await run(source, entries.toReversed(), ["drop"]);
    const left = await source.query(`
      select pg_describe_object(d.classid, d.objid, d.objsubid) as object from pg_depend d
       where d.refclassid = 'pg_namespace'::regclass
         and d.refobjid::regnamespace::text in ('s', 'a', 'z', '"we ird.S"', '"s"', '"a"', '"z"')`);
    assert.deepEqual(left, []);
    const types = await source.query(`
      select t.oid::regtype::text as type from pg_type t
       where t.oid >= 16384 and t.typnamespace not in ('pg_catalog'::regnamespace,
             'information_schema'::regnamespace)`);
    assert.deepEqual(types, []);
  });
});

Deno.test("a base type that a table still uses is not dropped", async () => {
  await withDatabases(17, async ({ source }) => {
    const { entries } = await readModel(source);
    await source.execute('create table public.uses_it (x "s"."b3"[])');
    const type = entries.find((entry) => entry.identity === 'type TYPE "s"."b3"')!;
    await assert.rejects(
      () => source.execute(type.statements.drop.join(";")),
      (error: Error) => error.message.includes("depends on it"),
    );
    await source.execute("drop table public.uses_it");
    await source.execute(type.statements.drop.join(";"));
  });
});

async function readModel(session: Session): Promise<DatabaseReading> {
  await session.execute("begin isolation level repeatable read read only");
  try {
    return await readDatabase(session, DUMP_OPTIONS);
  } finally {
    await session.execute("rollback");
  }
}

async function run(
  session: Session,
  entries: readonly Entry[],
  statements: readonly (keyof Entry["statements"])[],
): Promise<void> {
  for (const entry of entries) {
    if (OF_CLUSTER.test(entry.kind)) continue;
    for (const list of statements) {
      for (const sql of entry.statements[list]) await session.execute(sql);
    }
  }
}

function statementsByIdentity(reading: DatabaseReading): [string, Entry["statements"]][] {
  return reading.entries
    .filter((entry) => !OF_CLUSTER.test(entry.kind))
    .map((entry): [string, Entry["statements"]] => [entry.identity, entry.statements])
    .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
}

/** Two new databases, the fixture in the first; both are dropped afterwards. */
async function withDatabases(
  major: 15 | 17,
  test: (sessions: { source: Session; target: Session }) => Promise<void>,
): Promise<void> {
  const server = await testServer(major);
  const admin = await connect({ url: server.url() });
  const suffix = crypto.randomUUID().slice(0, 8);
  const names = { source: `types_test_${suffix}_a`, target: `types_test_${suffix}_b` };
  const role = `types_test_owner_${suffix}`;
  const opened: Session[] = [];
  const open = async (name: string) => {
    await admin.execute(`create database ${name} template template0 encoding 'UTF8' locale 'C'`);
    const session = await connect({ url: server.url(name) });
    opened.push(session);
    await session.execute("set client_min_messages = warning");
    return session;
  };
  try {
    await admin.execute(`create role ${role}`);
    const source = await open(names.source);
    const target = await open(names.target);
    const fixture = await Deno.readTextFile(FIXTURE);
    await source.execute(fixture.replaceAll("types_test_owner", role));
    for (const [version, sql] of SINCE) {
      if (source.serverVersion >= version) await source.execute(sql);
    }
    for (const session of opened) {
      await session.execute(
        "set search_path = ''; set check_function_bodies = off",
      );
    }
    await test({ source, target });
  } finally {
    for (const session of opened) await session.close();
    for (const name of Object.values(names)) {
      await admin.execute(`drop database if exists ${name} with (force)`);
    }
    await admin.execute(`drop role if exists ${role}`);
    await admin.close();
  }
}
