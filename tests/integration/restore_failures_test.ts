/**
 * Restores on a bad day: statements that fail in an empty database, and live databases that changed in
 * ways that the backup does not know.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { readRestoreTraces } from "../../supabase/functions/backup/postgres/restore_traces.ts";
import type { Row } from "../../supabase/functions/backup/postgres/session.ts";
import {
  compareModels,
  type Failure,
  type LeftOut,
} from "../../supabase/functions/backup/restore/mod.ts";
import { type MemoryBackup, scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, failure, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create table public.users (id int primary key, name text not null);
  create table public.orders (id int primary key, user_id int references public.users);
  create index orders_user on public.orders (user_id);
  create view public.names as select name from public.users;
  insert into public.users select i, 'user ' || i from generate_series(1, 20) i;
  insert into public.orders select i, i from generate_series(1, 20) i;
`;

/** Fails unless the database is what it was when the backup was taken, rows included. */
async function assertUnchanged(before: MemoryBackup, url: string): Promise<void> {
  const now = await backupWithoutRoles(url);
  const options = { sameMajor: true, leftOut: [] };
  const forth = compareModels(before.facts.entries, now.facts.entries, options);
  const back = compareModels(now.facts.entries, before.facts.entries, options);
  assert.deepEqual([...forth.differences, ...back.differences], []);
  const rows = ({ facts }: MemoryBackup) =>
    facts.dataParts.map((part) => `${part.entry} ${part.rows} ${part.fingerprint?.sum}`).sort();
  assert.deepEqual(rows(now), rows(before));
}

const tracesIn = ({ run }: { run: (sql: string) => Promise<Row[]> }) => readRestoreTraces(run);

function failed(error: BackupError): Failure[] {
  return error.details?.failed as Failure[];
}

Deno.test("a restore into an empty database goes on past what fails and names it", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "rc_fails_a");
  await using target = await scratchDatabase(server, "rc_fails_b");
  await source.run(`${SAMPLE}
    create type public.mood as enum ('calm');
    create table public.moods (mood public.mood);
    insert into public.moods values ('calm');
    create view public.seen as select * from public.moods;
    comment on view public.names is 'names';
    grant select on public.names to public;
    create materialized view public.ratio as select 1 / id as one from public.users`);
  const backup = await backupWithoutRoles(source.url);
  // As if this server understood some statements no more.
  const spoil = (
    identity: RegExp,
    change: (sql: string) => string,
    list: "create" | "comment" | "acl",
  ) => {
    const entry = backup.facts.entries.find((each) => identity.test(each.identity));
    assert.ok(entry, String(identity));
    entry.statements[list] = entry.statements[list].map(change);
    assert.ok(entry.statements[list].length > 0);
  };
  spoil(/^type .*"mood"/, () => "CREATE TYPE nonsense", "create");
  spoil(/"orders_user"/, (sql) => sql.replace('"user_id"', '"no_such_column"'), "create");
  spoil(/^view .*"names"/, () => "COMMENT ON nonsense", "comment");
  spoil(/^view .*"names"/, (sql) => `${sql}, "no such role"`, "acl");
  spoil(/^refresh /, () => "SELECT 1 / 0", "create");

  const error = await failure(restoreBackup(backup, target.url, { jobs: 2 }));
  assert.equal(error.code, "restore_mismatch");
  assert.match(
    error.message,
    /^Cannot vouch for the restore of \S+: 4 failed: type .*SQLSTATE 3F000/,
  );
  assert.deepEqual(failed(error).map(({ identity, sqlState }) => [identity, sqlState]), [
    ['type TYPE "public"."mood"', "3F000"],
    ['view VIEW "public"."names"', "42601"],
    ['index INDEX "public"."orders_user"', "42703"],
    ['refresh REFRESH MATERIALIZED VIEW "public"."ratio"', "22012"],
  ]);
  const skipped = (error.details?.skipped as LeftOut[]).map(({ identity }) => identity);
  assert.ok(skipped.includes('table TABLE "public"."moods"'), skipped.join());
  assert.ok(skipped.includes('view VIEW "public"."seen"'), skipped.join());
  assert.deepEqual(error.details?.differences, []);

  const [found] = await target.run(`
    select (select count(*)::int from public.users) as users,
           (select count(*)::int from public.orders) as orders,
           (select count(*)::int from public.names) as names,
           (select count(*)::int from pg_constraint
             where contype in ('p', 'f') and connamespace = 'public'::regnamespace) as constraints,
           to_regclass('public.moods') is null as unmade,
           exists (select from pg_stats where tablename = 'orders') as analyzed`);
  assert.deepEqual(found, {
    users: 20,
    orders: 20,
    names: 20,
    constraints: 3,
    unmade: true,
    analyzed: true,
  });
});

Deno.test("rows that do not fit an empty database fail by table, and the other tables are whole", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "rc_rows_a");
  await using target = await scratchDatabase(server, "rc_rows_b");
  await source.run(SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  const users = backup.facts.entries.find((each) =>
    each.identity === 'table TABLE "public"."users"'
  )!;
  users.statements.create = users.statements.create.map((sql) =>
    sql.replace('"name" "text"', '"name" "text" CHECK ("id" < 10)').replace(
      '"name" text',
      '"name" text CHECK ("id" < 10)',
    )
  );
  assert.match(users.statements.create.join(), /CHECK/);
  const error = await failure(restoreBackup(backup, target.url));
  assert.deepEqual(failed(error).map(({ identity, sqlState }) => [identity, sqlState]), [
    ['table-data TABLE DATA "public"."users"', "23514"],
    ['foreign-key CONSTRAINT "orders_user_id_fkey" ON "public"."orders"', "23503"],
  ]);
  assert.equal((await target.run("select from public.orders")).length, 20);
  assert.equal((await target.run("select from public.users")).length, 0);
  const [trace] = await tracesIn(target);
  assert.deepEqual([trace?.backupId, trace?.parts], ["memory", null], "rows are missing");

  // What stands is replaced in one transaction, which takes the trace away.
  const whole = await backupWithoutRoles(source.url);
  const { rowsLoaded } = await restoreBackup(whole, target.url);
  assert.deepEqual([rowsLoaded, await tracesIn(target)], [40, []]);
});

Deno.test("a lost connection ends a restore into an empty database at once", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "rc_lost_a");
  await using target = await scratchDatabase(server, "rc_lost_b");
  await source.run(SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  const index = backup.facts.entries.find((each) => /"orders_user"/.test(each.identity))!;
  index.statements.create = ["SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())"];
  const error = await failure(restoreBackup(backup, target.url, { jobs: 1 }));
  assert.equal(error.code, "database_unreachable");
  assert.equal((await tracesIn(target)).length, 1, "nobody could tell otherwise");
});

Deno.test("a restore over a live database brings back what was dropped and takes away what was added", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "rc_over");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run(`
    drop table public.orders;
    alter table public.users add column extra int default 7;
    update public.users set name = 'x'`);
  await restoreBackup(backup, target.url);
  const now = await backupWithoutRoles(target.url);
  const { differences } = compareModels(backup.facts.entries, now.facts.entries, {
    sameMajor: true,
    leftOut: [],
  });
  assert.deepEqual(differences, []);
  const [found] = await target.run(`
    select (select count(*)::int from public.users where name like 'user %') as users,
           (select count(*)::int from public.orders) as orders`);
  assert.deepEqual(found, { users: 20, orders: 20 });
});

Deno.test("a table that somebody holds makes a restore give up by name and change nothing", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "rc_locked");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run("update public.orders set user_id = 1");
  const before = await backupWithoutRoles(target.url);
  const holder = await connect({ url: target.url });
  try {
    await holder.execute("begin; lock table public.orders in row exclusive mode");
    const error = await failure(restoreBackup(backup, target.url, { lockTimeoutMs: 50 }));
    assert.equal(error.code, "lock_timeout");
    assert.match(error.message, /the lock of table "public"\."orders"/);
  } finally {
    await holder.close();
  }
  await assertUnchanged(before, target.url);
});

Deno.test("a constraint that the backup's rows violate takes a restore over a live database back", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "rc_violating");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  const check = {
    ...backup.facts.entries.find((each) => /"orders_user"/.test(each.identity))!,
    kind: "check-constraint" as const,
    key: "pg_constraint:1",
    identity: 'check-constraint CONSTRAINT "few" ON "public"."users"',
    name: "users few",
  };
  check.statements = {
    ...check.statements,
    create: ['ALTER TABLE "public"."users" ADD CONSTRAINT "few" CHECK ("id" < 10)'],
  };
  backup.facts.entries.push(check);
  await target.run("update public.users set name = 'newer'");
  const before = await backupWithoutRoles(target.url);
  const error = await failure(restoreBackup(backup, target.url));
  assert.equal(error.code, "database_error");
  assert.match(error.message, /check-constraint CONSTRAINT "few" .*SQLSTATE 23514/);
  await assertUnchanged(before, target.url);
});

Deno.test("tables that the backup does not know are lost only when that is accepted by name", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "rc_unknown");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  await target.run(`
    alter table public.users add column extra int;
    create table public.heirs (more int) inherits (public.users)`);
  const before = await backupWithoutRoles(target.url);
  const error = await failure(restoreBackup(backup, target.url));
  assert.equal(error.code, "restore_refused");
  assert.match(error.message, /drops-table-unknown \(table TABLE "public"\."heirs"\)/);
  await assertUnchanged(before, target.url);
});

Deno.test("a restore that needs more locks than the server has is refused before anything changes", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "rc_locks");
  await target.run(SAMPLE);
  const backup = await backupWithoutRoles(target.url);
  const like = backup.facts.entries.find((each) =>
    each.identity === 'table TABLE "public"."users"'
  )!;
  for (let at = 0; at < 20_000; at++) {
    const name = `many_${at}`;
    backup.facts.entries.push({
      ...like,
      key: `pg_class:many_${at}`,
      name,
      identity: `table TABLE "public"."${name}"`,
    });
  }
  const error = await failure(restoreBackup(backup, target.url));
  assert.equal(error.code, "target_unfit");
  assert.match(error.message, /max_locks_per_transaction/);
});

Deno.test("a damaged part of a backup costs an empty database that table, and a live one nothing", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "rc_damaged_a");
  await using target = await scratchDatabase(server, "rc_damaged_b");
  await source.run(SAMPLE);
  const whole = await backupWithoutRoles(source.url);
  const users = whole.facts.entries.find((each) => /^table-data .*"users"/.test(each.identity))!;
  const backup: MemoryBackup = {
    ...whole,
    async *readPieces(pieces) {
      if (pieces.some((piece) => piece.chunk === users.key)) {
        throw new BackupError("object_altered", "Cannot read chunk 1: it does not authenticate");
      }
      yield* whole.readPieces(pieces);
    },
  };
  const error = await failure(restoreBackup(backup, target.url));
  assert.equal(error.code, "object_altered");
  assert.deepEqual(failed(error).map(({ identity, code }) => [identity, code]), [
    ['table-data TABLE DATA "public"."users"', "object_altered"],
    ['foreign-key CONSTRAINT "orders_user_id_fkey" ON "public"."orders"', "database_error"],
  ]);
  assert.equal((await target.run("select from public.orders")).length, 20);

  await source.run("update public.orders set user_id = 1; update public.users set name = 'newer'");
  const before = await backupWithoutRoles(source.url);
  assert.equal((await failure(restoreBackup(backup, source.url))).code, "object_altered");
  await assertUnchanged(before, source.url);
});

Deno.test("what hangs on partitioned tables and unproven checks does not stop rows from coming back", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "rc_partitions");
  await target.run(`
    create table public.nodes (id int primary key, parent int references public.nodes)
      partition by range (id);
    create table public.nodes_1 partition of public.nodes for values from (0) to (10);
    create table public.nodes_2 partition of public.nodes for values from (10) to (20);
    insert into public.nodes values (1, null), (11, 1);
    create function public.refuse() returns trigger language plpgsql as
      $$ begin raise exception 'a trigger fired'; end $$;
    create trigger refuse before insert on public.nodes
      for each row execute function public.refuse();
    alter table public.nodes enable always trigger refuse;
    create table public.old (n int);
    insert into public.old values (-1);
    alter table public.old add constraint positive check (n > 0) not valid`);
  const backup = await backupWithoutRoles(target.url);
  await target.run("delete from public.nodes; delete from public.old");
  await restoreBackup(backup, target.url);
  const now = await backupWithoutRoles(target.url);
  const options = { sameMajor: true, leftOut: [] };
  assert.deepEqual(compareModels(backup.facts.entries, now.facts.entries, options).differences, []);
  const [found] = await target.run(`
    select (select count(*)::int from public.nodes) as nodes,
           (select count(*)::int from public.old) as old`);
  assert.deepEqual(found, { nodes: 2, old: 1 });
});
