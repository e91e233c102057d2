/**
 * Backups of chosen tables: they hold what `pg_dump -t` takes, and are restored or refused beforehand.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { backupInMemory, type MemoryBackup, scratchDatabase } from "../support/memory_backup.ts";
import { restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create schema app; create schema other;
  create type other.mood as enum ('calm', 'wild');
  create domain app.code as text check (value <> '');
  create function app.odd(int) returns boolean immutable language sql as 'select $1 % 2 = 1';
  create function app.changed() returns trigger language plpgsql as 'begin return new; end';
  create table app.users (id int primary key, mood other.mood);
  create sequence app.loose;
  create table app.orders (
    id serial primary key, user_id int references app.users, code app.code,
    number int default nextval('app.loose'), counted bigint generated always as identity,
    check (app.odd(1)));
  create index odd_orders on app.orders (app.odd(id));
  create trigger changed before update on app.orders for each row execute function app.changed();
  create policy of_user on app.orders using (exists (select from app.users where id = user_id));
  alter table app.orders enable row level security;
  create view app.known as select orders.* from app.orders join app.users on users.id = user_id;
  create table app.parts (id int primary key) partition by range (id);
  create table app.parts_1 partition of app.parts for values from (0) to (10);
  create cast (text as other.mood) with inout;
  insert into app.users values (1, 'calm');
  insert into app.orders (user_id, code) values (1, 'a'), (1, 'b');
  insert into app.parts values (3);
`;

const NEEDED_BY_ORDERS = [
  'function FUNCTION "app"."changed"()',
  'function FUNCTION "app"."odd"(integer)',
  'schema SCHEMA "app"',
  'sequence SEQUENCE "app"."loose"',
  'table TABLE "app"."users"',
  'type DOMAIN "app"."code"',
];

/** Names of what the target lacks, by the plan. */
async function missing(backup: MemoryBackup, url: string): Promise<string[]> {
  const { plan } = await restoreBackup(backup, url, { dryRun: true });
  return plan.missing.map(({ what, name }) => (assert.equal(what, "object"), name)).sort();
}

const identities = (backup: MemoryBackup) =>
  backup.facts.entries.filter((entry) => entry.kind !== "role").map((entry) => entry.identity);

Deno.test("a backup of a table holds what pg_dump -t takes, and names what it needs besides", async () => {
  await using source = await scratchDatabase(await testServer(17), "a_chosen");
  await source.run(SAMPLE);
  const orders = await backupInMemory(source.url, { includeTables: ["app.orders"] });
  assert.deepEqual(identities(orders), [
    'table TABLE "app"."orders"',
    'sequence SEQUENCE "app"."orders_counted_seq"',
    'sequence SEQUENCE "app"."orders_id_seq"',
    'sequence SEQUENCE OWNED BY "app"."orders_id_seq"',
    'default DEFAULT "id" ON "app"."orders"',
    'table-data TABLE DATA "app"."orders"',
    'sequence-set SEQUENCE SET "app"."orders_counted_seq"',
    'sequence-set SEQUENCE SET "app"."orders_id_seq"',
    'constraint CONSTRAINT "orders_pkey" ON "app"."orders"',
    'index INDEX "app"."odd_orders"',
    'trigger TRIGGER "changed" ON "app"."orders"',
    'foreign-key CONSTRAINT "orders_user_id_fkey" ON "app"."orders"',
    'row-security ROW SECURITY ON "app"."orders"',
    'policy POLICY "of_user" ON "app"."orders"',
  ]);
  const outside = new Set(orders.facts.entries.flatMap((entry) => entry.outside ?? []));
  assert.deepEqual([...outside].sort(), NEEDED_BY_ORDERS);

  const both = await backupInMemory(source.url, {
    includeSchemas: ["other"],
    includeTables: ["app.users"],
  });
  assert.deepEqual(identities(both).filter((identity) => /other|users/.test(identity)), [
    'schema SCHEMA "other"',
    'type TYPE "other"."mood"',
    'table TABLE "app"."users"',
    'table-data TABLE DATA "app"."users"',
    'constraint CONSTRAINT "users_pkey" ON "app"."users"',
  ]);
  await assert.rejects(
    () => backupInMemory(source.url, { includeTables: ["app.order"] }),
    (error: unknown) => error instanceof BackupError && error.code === "invalid_request",
  );
});

Deno.test("a backup of tables is refused where something is missing, before anything is touched", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "a_chosen_source");
  await using target = await scratchDatabase(server, "a_chosen_target");
  await source.run(SAMPLE);
  const orders = await backupInMemory(source.url, { includeTables: ["app.orders"] });
  assert.deepEqual(await missing(orders, target.url), NEEDED_BY_ORDERS);
  await assert.rejects(restoreBackup(orders, target.url), /needs it, and the backup holds/);
  assert.deepEqual(await target.run("select from pg_class where oid > 16384"), []);

  await target.run(`
    create schema app; create domain app.code as text;
    create function app.odd(int) returns boolean immutable language sql as 'select $1 % 2 = 1';
    create function app.changed() returns trigger language plpgsql as 'begin return new; end';
    create table app.users (id int primary key); insert into app.users values (1);
    create sequence app.loose`);
  const report = await restoreBackup(orders, target.url);
  assert.deepEqual(report.comparison?.differences, []);
  assert.equal((await target.run("select from app.orders where counted in (1, 2)")).length, 2);
});

Deno.test("a backup of a table puts that table back into the database it came from", async () => {
  await using target = await scratchDatabase(await testServer(17), "a_chosen_over");
  await target.run(SAMPLE);
  const chosen = await backupInMemory(target.url, {
    includeTables: ["app.orders", "app.parts*", "app.known"],
  });
  await target.run(
    "delete from app.orders; update app.users set mood = 'wild'; delete from app.parts",
  );
  const report = await restoreBackup(chosen, target.url);
  assert.deepEqual(report.comparison?.differences, []);
  assert.equal((await target.run("select from app.known")).length, 2);
  assert.equal((await target.run("select from app.parts_1")).length, 1);
  assert.equal((await target.run("select from app.users where mood = 'wild'")).length, 1);
});

Deno.test("a copy beside of a chosen table needs nothing of its own schema, or is refused", async () => {
  await using target = await scratchDatabase(await testServer(17), "a_chosen_beside");
  await target.run(SAMPLE);
  const users = await backupInMemory(target.url, { includeTables: ["app.users"] });
  await restoreBackup(users, target.url, { tables: ["app.users"], intoSchema: "rescue" });
  assert.equal((await target.run("select from rescue.users")).length, 1);
  const orders = await backupInMemory(target.url, { includeTables: ["app.orders"] });
  await assert.rejects(
    restoreBackup(orders, target.url, { tables: ["app.orders"], intoSchema: "rescue_2" }),
    /type DOMAIN "app"."code": .* needs it in the new schema/,
  );
});

Deno.test("a dropped table with a serial column comes back over a live database with the column's next value", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "a_serial");
  await source.run(SAMPLE);
  const backup = await backupInMemory(source.url);
  await source.run("drop view app.known; drop table app.orders");
  await restoreBackup(backup, source.url, {
    ...{ mode: "over", tables: ["app.orders"], skipSafetyBackup: true },
    acceptHazards: ["no-safety-backup"],
  });
  await source.run("insert into app.orders (user_id, code) values (1, 'c')");
  const [row] = await source.run("select max(id) as id, count(*)::int as rows from app.orders");
  assert.deepEqual(row, { id: 3, rows: 3 });
});
