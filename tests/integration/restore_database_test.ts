/**
 * Restores into empty databases, over live ones, and beside.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { DatabaseRecord } from "../../supabase/functions/backup/repository/mod.ts";
import { compareModels } from "../../supabase/functions/backup/restore/mod.ts";
import { type MemoryBackup, scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, failure, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create schema app;
  create type app.mood as enum ('calm', 'wild');
  create domain app.positive as int check (value > 0);
  create table app.users (
    id bigint generated always as identity primary key, name text not null unique,
    mood app.mood default 'calm', score app.positive,
    loud text generated always as (upper(name)) stored);
  create table app.orders (
    id serial primary key, user_id bigint references app.users, note text, body jsonb);
  create index on app.orders (note);
  comment on table app.orders is 'it''s "quoted"';
  create table app.parts (id int, year int) partition by range (year);
  create table app.parts_old partition of app.parts for values from (0) to (10);
  create table app.parts_new partition of app.parts for values from (10) to (20);
  create view app.totals as
    select u.name, count(*) from app.users u join app.orders o on o.user_id = u.id group by 1;
  create materialized view app.kept as select * from app.totals;
  create unique index on app.kept (name);
  insert into app.users (name, score) select 'user ' || i, i from generate_series(1, 200) i;
  insert into app.orders (user_id, note, body)
    select 1 + i % 200, E'line\\n\\\\. ' || i, '{"a": 1}' from generate_series(1, 1000) i;
  insert into app.parts select i, i % 20 from generate_series(1, 100) i;
  refresh materialized view app.kept;
  create function app.refuse() returns trigger language plpgsql as
    $$ begin raise exception 'a trigger fired'; end $$;
  create trigger refuse before insert or delete on app.users
    for each row execute function app.refuse();
  alter table app.users enable always trigger refuse;
  create trigger refuse_truncate before truncate on app.orders
    execute function app.refuse();
  alter table app.orders enable replica trigger refuse_truncate;
  alter table app.users enable row level security;
  alter table app.users force row level security;
  create policy own on app.users using (name = current_user);
  grant select (name) on app.users to public;
  select lo_from_bytea(4711, '\\x00ff10');
`;

/** Fails unless the target holds the same objects and rows as the backup. */
async function assertSame(backup: MemoryBackup, url: string): Promise<void> {
  const now = await backupWithoutRoles(url);
  const comparison = compareModels(backup.facts.entries, now.facts.entries, {
    sameMajor: true,
    leftOut: [],
  });
  assert.deepEqual(comparison.differences, []);
  assert.deepEqual(comparison.objects, backup.facts.entries.length);
  const rows = ({ facts }: MemoryBackup) =>
    facts.dataParts.map((part) => {
      const entry = facts.entries.find((each) => each.key === part.entry)!;
      return `${entry.identity} ${part.rows} ${part.fingerprint?.sum}`;
    }).sort();
  assert.deepEqual(rows(now), rows(backup));
}

for (const major of [15, 17, 18] as const) {
  Deno.test(`restoreDatabase() into an empty PostgreSQL ${major} gives the same database`, async () => {
    const server = await testServer(major);
    await using source = await scratchDatabase(server, "gr_empty_a");
    await using target = await scratchDatabase(server, "gr_empty_b");
    await source.run(SAMPLE);
    const backup = await backupWithoutRoles(source.url);
    const report = await restoreBackup(backup, target.url, { jobs: 3 });
    assert.equal(report.plan.mode, "empty");
    assert.equal(report.safetyBackupId, null);
    assert.deepEqual(report.comparison?.differences, []);
    await assertSame(backup, target.url);
    const [object] = await target.run("select encode(lo_get(4711), 'hex') as bytes");
    assert.equal(object?.bytes, "00ff10");
  });

  Deno.test(`restoreDatabase() over a live PostgreSQL ${major} undoes every change`, async () => {
    const server = await testServer(major);
    await using source = await scratchDatabase(server, "gr_over_a");
    await using target = await scratchDatabase(server, "gr_over_b");
    await source.run(SAMPLE);
    const backup = await backupWithoutRoles(source.url);
    await restoreBackup(backup, target.url);
    await target.run(`
      set session_replication_role = replica;
      alter table app.users disable trigger refuse;
      delete from app.users where id < 50;
      update app.orders set note = 'lost';
      alter table app.parts add column extra int;
      drop view app.totals cascade;
      comment on table app.orders is null;
      comment on table app.users is 'new';
      grant all on app.orders to public;
      drop policy own on app.users;
      alter table app.orders drop column body;
      alter default privileges grant all on tables to public;
      select lo_unlink(4711)`);
    const report = await restoreBackup(backup, target.url);
    assert.equal(report.plan.mode, "over");
    assert.equal(report.safetyBackupId, "safety");
    await target.run("alter default privileges revoke all on tables from public");
    await assertSame(backup, target.url);
  });
}

for (const [from, to] of [[15, 17], [17, 18]] as const) {
  Deno.test(`restoreDatabase() takes a backup of PostgreSQL ${from} into PostgreSQL ${to}`, async () => {
    await using source = await scratchDatabase(await testServer(from), "gr_major_a");
    await using target = await scratchDatabase(await testServer(to), "gr_major_b");
    await source.run(SAMPLE);
    const backup = await backupWithoutRoles(source.url);
    const empty = await restoreBackup(backup, target.url);
    assert.deepEqual(empty.comparison?.differences, []);
    await target.run("update app.orders set note = 'x'");
    const over = await restoreBackup(backup, target.url);
    assert.equal(over.plan.mode, "over");
    assert.deepEqual(over.comparison?.differences, []);
    const [row] = await target.run("select count(*)::int as n from app.orders where note = 'x'");
    assert.equal(row?.n, 0);
  });
}

Deno.test("restoreDatabase() over a live database keeps what the backup does not know", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_keep");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run(`
    create table app.later (id int primary key, user_id bigint references app.users);
    insert into app.later values (1, 7);
    create view app.later_view as select id from app.later`);
  await restoreBackup(backup, target.url);
  const [row] = await target.run("select user_id from app.later");
  assert.equal(row?.user_id, "7");
  const keys = await target.run(
    "select conname from pg_constraint where conrelid = 'app.later'::regclass and contype = 'f'",
  );
  assert.equal(keys.length, 1, "its foreign key to a replaced table is back");
});

Deno.test("restoreDatabase() refuses unknown dependents until they are accepted by name", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_dependents");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run(`
    alter table app.parts add column extra int;
    create view app.fits as select id from app.parts;
    create view app.no_longer_fits as select extra from app.parts`);
  const before = await backupWithoutRoles(target.url);
  const error = await failure(restoreBackup(backup, target.url));
  assert.equal(error.code, "restore_refused");
  assert.match(error.message, /drops-dependent-unknown .*app"."fits"/);
  await assertSame(before, target.url);

  const report = await restoreBackup(backup, target.url, {
    acceptHazards: ["drops-dependent-unknown"],
  });
  assert.deepEqual(report.leftOut.map((each) => each.identity), [
    'view VIEW "app"."no_longer_fits"',
  ]);
  assert.equal((await target.run("select * from app.fits")).length, 100);
});

Deno.test("restoreDatabase() that fails over a live database leaves it as it was", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_failed");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  // A row of a table that the backup does not know refers to a row that the backup does not hold.
  await target.run(`
    alter table app.users disable trigger refuse;
    insert into app.users (name) values ('newcomer');
    create table app.later (user_id bigint references app.users);
    insert into app.later select max(id) from app.users`);
  const before = await backupWithoutRoles(target.url);
  const error = await failure(restoreBackup(backup, target.url));
  assert.equal(error.code, "database_error");
  assert.match(error.message, /later_user_id_fkey/);
  await assertSame(before, target.url);
});

Deno.test("restoreDatabase() makes the safety backup while nobody can write", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_safety");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  const seen: string[] = [];
  await restoreBackup(backup, target.url, {
    given: {
      safetyBackup: async () => {
        const error = await failure(
          target.run("set lock_timeout = '50ms'; update app.orders set note = 'late'"),
        );
        seen.push(error.code);
        assert.equal((await target.run("select * from app.orders")).length, 1000);
        return { backupId: "safety" } as DatabaseRecord;
      },
    },
  });
  assert.deepEqual(seen, ["lock_timeout"]);
  await assertSame(backup, target.url);
});

Deno.test("restoreDatabase() changes nothing when the safety backup fails", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_no_safety");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run("update app.orders set note = 'newer'");
  const before = await backupWithoutRoles(target.url);
  const damaged = () => Promise.reject(new BackupError("damaged_source", "a page is torn"));
  const error = await failure(
    restoreBackup(backup, target.url, { given: { safetyBackup: damaged } }),
  );
  assert.equal(error.code, "damaged_source");
  await assertSame(before, target.url);

  const refused = await failure(restoreBackup(backup, target.url, { skipSafetyBackup: true }));
  assert.equal(refused.code, "restore_refused");
  await restoreBackup(backup, target.url, {
    skipSafetyBackup: true,
    acceptHazards: ["no-safety-backup"],
  });
  await assertSame(backup, target.url);
});

Deno.test("restoreDatabase() restores one table and leaves the others alone", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_table");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run("update app.orders set note = 'x'; update app.parts set id = -1");
  await restoreBackup(backup, target.url, { tables: ["app.orders"] });
  const [orders] = await target.run("select count(*)::int as n from app.orders where note = 'x'");
  const [parts] = await target.run("select count(*)::int as n from app.parts where id = -1");
  assert.deepEqual([orders?.n, parts?.n], [0, 100]);
});

Deno.test("restoreDatabase() makes a table that is gone, with what it needs", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "gr_needs_a");
  await using target = await scratchDatabase(server, "gr_needs_b");
  await source.run(SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  const report = await restoreBackup(backup, target.url, { tables: ["app.users", "app.parts"] });
  assert.equal(report.rowsLoaded, 300);
  const [row] = await target.run("select count(*)::int as n from app.users where mood = 'calm'");
  assert.equal(row?.n, 200);
  assert.equal((await target.run("select * from app.parts_old")).length, 50);
});

Deno.test("restoreDatabase() restores a schema beside the live one", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_beside");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run("update app.orders set note = 'x'");
  const before = await backupWithoutRoles(target.url);
  const report = await restoreBackup(backup, target.url, {
    tables: ["app.orders", "app.users"],
    intoSchema: "rescue",
  });
  assert.equal(report.plan.mode, "beside");
  assert.deepEqual(report.comparison?.differences, []);
  assert.ok(report.comparison!.objects >= 5, "definitions are compared, not only rows");
  const [old] = await target.run("select count(*)::int as n from rescue.orders where note <> 'x'");
  assert.equal(old?.n, 1000);
  const [key] = await target.run(
    "select confrelid::regclass::text as parent from pg_constraint " +
      "where conrelid = 'rescue.orders'::regclass and contype = 'f'",
  );
  assert.equal(key?.parent, "rescue.users");
  const alone = await restoreBackup(backup, target.url, {
    tables: ["app.orders"],
    intoSchema: "alone",
  });
  assert.match(JSON.stringify(alone.plan.leftOut), /orders_user_id_fkey.*which is not copied/);
  assert.equal((await target.run("select from alone.orders")).length, 1000);
  assert.deepEqual(await target.run("select to_regclass('alone.users')::text as u"), [{ u: null }]);
  await target.run("drop schema rescue cascade; drop schema alone cascade");
  await assertSame(before, target.url);
});

Deno.test("restoreDatabase() restores beside a schema of another owner, which it leaves as it is", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_beside_other");
  const role = `${new URL(target.url).pathname.slice(1)}_app`;
  const url = Object.assign(new URL(target.url), { username: role }).href;
  await target.run(`
    create role ${role} login;
    grant create on database ${role.replace(/_app$/, "")} to ${role};
    grant usage, create on schema public to ${role};
    create table untouched (a int);
    set session authorization ${role};
    create type mood as enum ('calm', 'wild');
    create type span as range (subtype = int);
    create function half(bigint) returns bigint immutable language sql as 'select $1 / 2';
    create table spans (during span);
    create table teams (id bigint generated always as identity primary key);
    create table profiles (
      id bigint generated always as identity primary key, team bigint references teams, mood mood,
      check (half(id) >= 0));
    create statistics spread on id, team from profiles;
    create view wild as select * from profiles where mood = 'wild';
    insert into teams default values;
    insert into profiles (team, mood) select 1, 'calm' from generate_series(1, 50);
    reset session authorization`);
  try {
    const backup = await backupWithoutRoles(target.url);
    await target.run("delete from profiles where id > 10");
    const before = await backupWithoutRoles(target.url);
    const wanted = { tables: ["public.profiles"], intoSchema: "looked_at" };
    await restoreBackup(backup, url, wanted);
    assert.equal((await target.run("select from looked_at.profiles")).length, 50);
    await target.run("insert into looked_at.profiles default values");
    const [row] = await target.run("select max(id) as id from looked_at.profiles");
    assert.equal(row?.id, "51");
    const ranges = { tables: ["public.spans"], intoSchema: "spans" };
    assert.equal((await failure(restoreBackup(backup, url, ranges))).code, "target_unfit");
    await target.run("drop schema looked_at cascade");
    await assertSame(before, target.url);
  } finally {
    await target.run(`drop owned by ${role} cascade; drop role ${role}`);
  }
});

Deno.test("restoreDatabase() opens a copy beside to nobody, whatever the default privileges are", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_beside_open");
  await target.run(`
    create schema app; create table app.one (a int); insert into app.one values (1);
    create function app.two() returns int language sql as 'select 2';
    alter default privileges grant select on tables to public`);
  const backup = await backupWithoutRoles(target.url);
  await restoreBackup(backup, target.url, { schemas: ["app"], intoSchema: "rescue" });
  const [copy] = await target.run("select relacl from pg_class where oid = 'rescue.one'::regclass");
  assert.equal(copy?.relacl, null);
  await target.run("drop schema rescue cascade");
  await assertSame(backup, target.url);
});

Deno.test("restoreDatabase() only plans with dryRun, and the plan is the one that runs", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_dry");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run("update app.orders set note = 'x'; drop view app.totals cascade");
  const before = await backupWithoutRoles(target.url);
  const dry = await restoreBackup(backup, target.url, { dryRun: true });
  await assertSame(before, target.url);
  assert.equal(dry.comparison, null);
  const real = await restoreBackup(backup, target.url);
  assert.deepEqual(real.plan, dry.plan);
});

Deno.test("restoreDatabase() replaces partitioned indexes and sequences of replaced tables", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_partitions");
  await target.run(`
    create table events (id bigserial, year int, note text, primary key (id, year))
      partition by range (year);
    create table events_1 partition of events for values from (1) to (2);
    create table events_2 partition of events for values from (2) to (3);
    create index events_note on events (note);
    insert into events (year, note) select 1 + i % 2, 'n' || i from generate_series(1, 100) i;
    create sequence counter; select setval('counter', 77)`);
  const backup = await backupWithoutRoles(target.url);
  await target.run(`
    drop index events_note; create index events_note on events (lower(note));
    alter sequence counter increment by 5; truncate events;
    alter table events add column more int`);
  await restoreBackup(backup, target.url, { acceptHazards: ["drops-dependent-unknown"] });
  await assertSame(backup, target.url);
  // The sequence goes on where it stood, and the index of a partition is attached.
  assert.equal((await target.run("select nextval('events_id_seq') as n"))[0]?.n, "101");
  await target.run("drop index events_note; create index events_note on events (lower(note))");
  await restoreBackup(backup, target.url, { acceptHazards: ["drops-dependent-unknown"] });
  const [indexes] = await target.run(
    "select count(*)::int as n from pg_inherits where inhparent = 'events_note'::regclass",
  );
  assert.equal(indexes?.n, 2);
});
