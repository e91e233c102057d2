import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { Entry } from "../../supabase/functions/backup/core/model.ts";
import {
  type DatabaseReading,
  readDatabase,
  recheck,
} from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { backupInMemory, DUMP_OPTIONS, scratchDatabase } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

const MAJORS = [15, 16, 17, 18] as const;

/** One of everything that belongs to cluster and database, with names that need quoting. */
const CLUSTER_OBJECTS = `
  create schema "od""d.s" authorization "read_db_o'wner";
  comment on schema "od""d.s" is E'line\\nand \\\\. and ''quote''';
  create extension hstore schema "od""d.s";
  create extension postgres_fdw;
  create table public.t (a int primary key, b text, c int);
  create function public.evt() returns event_trigger language plpgsql as 'begin end';
  create event trigger "e t" on ddl_command_end when tag in ('CREATE TABLE') execute function public.evt();
  alter event trigger "e t" enable always;
  create foreign data wrapper "f w" options (debug 'tr''ue');
  create server srv type 't' version '1' foreign data wrapper postgres_fdw options (host 'a b');
  create user mapping for public server srv options (user 'u');
  grant usage on foreign server srv to "read_db_o'wner" with grant option;
  create publication p1 for table public.t (a, b) where (a > 3) with (publish = 'insert');
  create publication p2 for tables in schema "od""d.s";
  create publication p3 for all tables with (publish_via_partition_root);
  create subscription s1 connection 'host=nowhere password=hidden' publication "p q"
    with (connect = false, slot_name = none);
  select lo_create(4242);
  comment on large object 4242 is 'lo';
  grant select on large object 4242 to read_db_other;
  alter default privileges for role "read_db_o'wner" revoke execute on functions from public;
  alter default privileges in schema public grant select on tables to read_db_other;
  grant all on public.t to "read_db_o'wner" with grant option;
  grant select (b), update (c) on public.t to read_db_other;
  revoke delete on public.t from current_user;
  set role "read_db_o'wner"; grant insert on public.t to read_db_other; reset role;
  revoke all on language plpgsql from public;
  revoke execute on function pg_catalog.pg_ls_dir(text) from public;
  grant execute on function pg_catalog.pg_ls_dir(text) to read_db_other;
  comment on constraint t_pkey on public.t is 'key';
  comment on index public.t_pkey is 'index';
  comment on column public.t.b is 'column';`;

async function inDatabase(
  { major, name }: { major: 15 | 16 | 17 | 18; name: string },
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const server = await testServer(major);
  const admin = await connect({ url: server.url() });
  try {
    for (const role of ["read_db_o''wner", "read_db_other"]) {
      await admin.execute(
        `do $$ begin if not exists (select from pg_roles where rolname = '${role}') then
           create role "${role.replace("''", "'")}"; end if; end $$`,
      );
    }
    await admin.execute(`drop database if exists ${name}`);
    await admin.execute(`create database ${name} template template0`);
    const session = await connect({ url: server.url(name) });
    try {
      await work(session);
    } finally {
      await session.execute("rollback; set client_min_messages = error");
      for (
        const { subname } of await session.query(
          "select subname from pg_subscription s join pg_database d on d.oid = s.subdbid and d.datname = current_database()",
        )
      ) {
        await session.execute(`drop subscription "${subname}"`);
      }
      await session.close();
    }
  } finally {
    await admin.execute(`drop database if exists ${name} with (force)`);
    await admin.execute(`drop role "read_db_o'wner"; drop role read_db_other`);
    await admin.close();
  }
}

async function read(session: Session): Promise<DatabaseReading> {
  await pinSettings(session);
  await session.execute("begin isolation level repeatable read read only");
  const reading = await readDatabase(session, DUMP_OPTIONS);
  await session.execute("commit");
  return reading;
}

/** Runs the definitions in the order of a restore; roles and tablespaces are there already. */
async function apply(session: Session, entries: readonly Entry[]): Promise<void> {
  await pinSettings(session);
  const ofCluster = ["role", "role-membership", "role-setting", "tablespace"];
  const mine = entries.filter((entry) => !ofCluster.includes(entry.kind));
  const late = mine.filter((entry) => entry.kind === "event-trigger" || entry.kind === "refresh");
  const early = mine.filter((entry) => !late.includes(entry));
  for (const { statements } of early) {
    const { create, owner, comment, label } = statements;
    for (const statement of [...create, ...owner, ...comment, ...label]) {
      await session.execute(statement);
    }
  }
  for (const { statements } of mine) {
    for (const statement of statements.acl) await session.execute(statement);
  }
  for (const { statements } of late) {
    for (const statement of [...statements.create, ...statements.owner]) {
      await session.execute(statement);
    }
  }
}

/** What must be the same in both databases: large objects and roles included, oids left out. */
function comparable(reading: DatabaseReading): string[] {
  return reading.entries
    .filter((entry) => !entry.kind.startsWith("role") && entry.kind !== "tablespace")
    .map((entry) => JSON.stringify([entry.identity, entry.statements]))
    .sort();
}

for (const major of MAJORS) {
  Deno.test(`what belongs to cluster and database comes back the same on ${major}`, async () => {
    let source: DatabaseReading | undefined;
    await inDatabase({ major, name: "read_db_source" }, async (session) => {
      await session.execute(CLUSTER_OBJECTS);
      await session.execute("alter database read_db_source set search_path to '$user', \"a b\"");
      await session.execute("comment on database read_db_source is '100% ''mine'''");
      await session.execute("grant create on database read_db_source to read_db_other");
      source = await read(session);
    });
    await inDatabase({ major, name: "read_db_target" }, async (session) => {
      await apply(session, source!.entries);
      assert.deepEqual(comparable(await read(session)), comparable(source!));
    });
    const text = JSON.stringify(source!.entries);
    assert.ok(!text.includes("hidden"), "a subscription's password is in the backup");
    assert.ok(!text.includes("read_db_source"), "a statement names the database");
  });

  Deno.test(`every key that an entry needs stands before it on ${major}`, async () => {
    await inDatabase({ major, name: "read_db_order" }, async (session) => {
      await session.execute(CLUSTER_OBJECTS);
      const { entries } = await read(session);
      const seen = new Set<string>();
      for (const entry of entries) {
        for (const key of entry.dependsOn) assert.ok(seen.has(key), `${entry.identity}: ${key}`);
        seen.add(entry.key);
      }
      assert.equal(seen.size, entries.length);
    });
  });
}

Deno.test("a view that is replaced after it was read is found by the second look", async () => {
  await inDatabase({ major: 17, name: "read_db_recheck" }, async (session) => {
    await session.execute("create view public.v as select 1 as one");
    const { rowVersions } = await read(session);
    await recheck(session, rowVersions);
    await session.execute("create or replace view public.v as select 2 as one");
    await assert.rejects(
      recheck(session, rowVersions),
      (error) => error instanceof BackupError && error.code === "concurrent_ddl",
    );
  });
});

Deno.test("a function that is renamed under a view is found by the second look", async () => {
  await inDatabase({ major: 17, name: "read_db_rename" }, async (session) => {
    await session.execute("create function public.f() returns int language sql as 'select 1'");
    await session.execute("create view public.v as select public.f() as one");
    const { rowVersions } = await read(session);
    await session.execute("alter function public.f() rename to g");
    await assert.rejects(recheck(session, rowVersions), /f \(pg_proc\)|changed while/);
  });
});

Deno.test("an object that no family knows fails the reading by name", async () => {
  await inDatabase({ major: 17, name: "read_db_census" }, async (session) => {
    await session.execute("create table public.kept (a int)");
    await pinSettings(session);
    // A relation kind that exists in no release stands for what this one does not know.
    await session.execute("begin isolation level repeatable read");
    await session.execute("update pg_class set relkind = '?' where relname = 'kept'");
    await assert.rejects(
      readDatabase(session, DUMP_OPTIONS),
      (error) =>
        error instanceof BackupError && error.code === "census_mismatch" &&
        error.message.includes("kept (pg_class"),
    );
  });
});

Deno.test("a catalog column that the census does not know fails the reading by name", async () => {
  await inDatabase({ major: 17, name: "read_db_column" }, async (session) => {
    await pinSettings(session);
    await session.execute("begin isolation level repeatable read");
    await session.execute(
      "update pg_attribute set attname = 'colnew' where attrelid = 'pg_collation'::regclass and attname = 'collversion'",
    );
    await assert.rejects(readDatabase(session, DUMP_OPTIONS), /pg_collation\.colnew/);
  });
});

Deno.test("a role that is no superuser reads the same objects and says what it cannot see", async () => {
  await inDatabase({ major: 17, name: "read_db_plain_role" }, async (session) => {
    await session.execute(CLUSTER_OBJECTS);
    await session.execute("create sequence public.s; grant all on sequence public.s to pg_monitor");
    await session.execute("grant pg_read_all_data, pg_monitor to read_db_other");
    const all = await read(session);
    await session.execute("set role read_db_other");
    const some = await read(session);
    await session.execute("reset role");
    const identities = (reading: DatabaseReading) => reading.entries.map((entry) => entry.identity);
    assert.deepEqual(identities(some), identities(all));
    assert.ok(some.remarks.some((remark) => remark.includes("without their connection")));
  });
});

Deno.test("readDatabase() remarks that others on the way to the server could read along", async () => {
  const server = await testServer(17);
  await using database = await scratchDatabase(server, "read_db_in_clear");
  assert.deepEqual((await backupInMemory(database.url)).remarks, []);
  const elsewhere = database.url.replace("127.0.0.1", "0.0.0.0");
  const { remarks } = await backupInMemory(`${elsewhere}?sslmode=disable`);
  assert.match(remarks.join(), /not encrypted/);
});
