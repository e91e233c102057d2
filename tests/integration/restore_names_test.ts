/**
 * Restores over a database in which other objects took the names that the backup needs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create schema app; set search_path = app;
  create table album (id int primary key, title text unique);
  create index album_by_title on album (title);
  create table song (id int primary key, album int references album);
  create view latest as select * from album;
  create function total(int) returns int language sql return $1;
  create procedure mark(int) language sql as 'select 1';
  create type mood as enum ('calm');
  create domain grade as int;
  insert into album select n, 'title ' || n from generate_series(1, 3) n;
  insert into song select n, n from generate_series(1, 3) n`;

/** The table lives on under another name, behind a view; others became another kind of object. */
const TAKEN = `
  set search_path = app;
  alter table album rename to album_2;
  create view album as select id, title from album_2;
  drop view latest; create materialized view latest as select 1 as id;
  drop function total(int); create procedure total(int) language sql as 'select 2';
  drop procedure mark(int); create function mark(int) returns int language sql return 2;
  drop type mood; create domain mood as text;
  drop domain grade; create type grade as enum ('good')`;

const ACCEPTED = { acceptHazards: ["drops-dependent-unknown"] };

Deno.test("names that other objects took are given back, and those objects named beforehand", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "d_names_source");
  await using target = await scratchDatabase(server, "d_names_target");
  await source.run(SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  const content = async (url: string) => {
    const { facts } = await backupWithoutRoles(url);
    return facts.entries.map(({ identity, statements }) => [identity, statements]);
  };
  const before = await content(source.url);

  await restoreBackup(backup, target.url);
  await target.run(TAKEN);
  const error = await restoreBackup(backup, target.url).catch((error) => error);
  assert.ok(error instanceof BackupError);
  assert.equal(error.code, "restore_refused");
  const { plan } = await restoreBackup(backup, target.url, { dryRun: true });
  const hazard = plan.hazards.find((each) => each.name === "drops-dependent-unknown");
  assert.deepEqual(hazard?.objects.toSorted(), [
    'constraint CONSTRAINT "album_pkey" ON "app"."album_2"',
    'constraint CONSTRAINT "album_title_key" ON "app"."album_2"',
    'function FUNCTION "app"."mark"(integer)',
    'function PROCEDURE "app"."total"(IN integer)',
    'materialized-view MATERIALIZED VIEW "app"."latest"',
    'type DOMAIN "app"."mood"',
    'type TYPE "app"."grade"',
    'view VIEW "app"."album"',
  ]);

  await restoreBackup(backup, target.url, ACCEPTED);
  const after = await content(target.url);
  const unknown = after.filter(([identity]) => String(identity).includes("album_2"));
  assert.deepEqual(
    unknown.map(([identity]) => identity).sort(),
    ['table TABLE "app"."album_2"', 'table-data TABLE DATA "app"."album_2"'],
    "the renamed table stays, with its rows",
  );
  const known = after.filter((each) => !unknown.includes(each));
  assert.deepEqual(known.sort(), before.sort());
});

Deno.test("row security that the backup's table has not is switched off", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "d_security_source");
  await using target = await scratchDatabase(server, "d_security_target");
  await source.run(SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  await restoreBackup(backup, target.url);
  await target.run(`
    alter table app.song enable row level security;
    alter table app.album enable row level security, force row level security, add column more int`);
  const { plan } = await restoreBackup(backup, target.url, { dryRun: true });
  const hazard = plan.hazards.find((each) => each.name === "replaces-object");
  assert.deepEqual(hazard?.objects.toSorted(), [
    'row-security ROW SECURITY ON "app"."album"',
    'row-security ROW SECURITY ON "app"."song"',
    'table TABLE "app"."album"',
  ]);
  await restoreBackup(backup, target.url);
  const { facts } = await backupWithoutRoles(target.url);
  assert.deepEqual(facts.entries.filter((entry) => entry.kind === "row-security"), []);
});

Deno.test("a target whose schema public was dropped gets it back as the backup has it", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "d_public_source");
  await using target = await scratchDatabase(server, "d_public_target");
  await source.run("create table public.t (id int); insert into public.t values (1)");
  const rightsOf = async (database: { url: string }) => {
    const { facts } = await backupWithoutRoles(database.url);
    return facts.entries.map(({ identity, statements }) => [identity, statements.acl]);
  };
  const backup = await backupWithoutRoles(source.url);
  await target.run("drop schema public");
  await restoreBackup(backup, target.url);
  assert.deepEqual(await rightsOf(target), await rightsOf(source));
  await target.run("drop schema public cascade");
  await restoreBackup(backup, target.url, { mode: "over" });
  assert.deepEqual(await rightsOf(target), await rightsOf(source));
});
