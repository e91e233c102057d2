import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  findStrangers,
  lookAtTables,
  type OtherTable,
} from "../../supabase/functions/backup/usecases/mend/look_at_tables.ts";
import { readSavedTables } from "../../supabase/functions/backup/usecases/mend/saved_tables.ts";
import { asRepository, backupInMemory } from "../support/memory_backup.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

Deno.test("lookAtTables() tells tables that are there, hold rows or cannot be told, and runs no view", async () => {
  await using database = await temporaryDatabase("look");
  const session = await connect({ url: database.url });
  await session.execute(`
    create schema odd; create table odd."t ""1" as select 1 as id;
    create table public.empty (id int);
    create table public.parted (id int) partition by list (id);
    create table public.part partition of public.parted for values in (1);
    insert into public.parted values (1);
    create function public.act() returns int language plpgsql as $$ begin raise 'ran'; end $$;
    create view public.view as select public.act() as id;
    create table public.ruled as select 1 as id;
    alter table public.ruled enable row level security;`);
  const named = (schema: string, name: string) => {
    return { schema, name, sqlName: `"${schema}"."${name.replaceAll('"', '""')}"` };
  };
  const tables = ["empty", "parted", "part", "view", "gone", "ruled"].map((name) =>
    named("public", name)
  );
  const looks = await lookAtTables(session, [named("odd", 't "1'), ...tables]);
  const told = looks.map(({ isThere, hasRows, unknown, unreadable }) => {
    assert.equal(unreadable, null);
    return [isThere, hasRows, unknown];
  });
  assert.deepEqual(told, [
    [true, true, null],
    [true, false, null],
    [true, null, null],
    [true, true, null],
    [true, null, "it is no table any more"],
    [false, null, null],
    [true, true, null],
  ]);
  const strangers = async (
    known: number,
    isSought: (table: OtherTable) => boolean = () => true,
  ) => {
    const others = { schemas: ["odd"], tables: [] };
    const found = await findStrangers(session, tables.slice(0, known), { others, isSought });
    return found.map(({ sqlName, columns }) => [sqlName, ...columns]);
  };
  assert.deepEqual(await strangers(1), [
    ["public.part", "id"],
    ["public.ruled", "id"],
    ["public.parted", "id"],
  ]);
  assert.deepEqual(await strangers(2, ({ name }) => name !== "part"), [["public.ruled", "id"]]);
  assert.deepEqual(await strangers(tables.length), []);
  await session.close();
});

Deno.test("readSavedTables() knows the rows, partitions and foreign keys of tables, and whose they are", async () => {
  await using database = await temporaryDatabase("saved");
  const session = await connect({ url: database.url });
  await session.execute(`
    create schema auth; create schema storage;
    create table auth.users (id int primary key); insert into auth.users values (1), (2);
    create table auth.identities (id int references auth.users);
    create table auth.sessions (id int references auth.users);
    create table storage.objects (id int); create table storage.migrations (id int);
    create table public."of b" (user_id int primary key references auth.users, parent int references public."of b");
    create table public.parted (id int, owner int references public."of b") partition by list (id);
    create table public.part partition of public.parted for values in (1);
    create unlogged table public.cache (id int); insert into public.cache values (1);
    insert into public."of b" values (1); insert into public.parted values (1, 1)`);
  await session.close();
  const backup = await backupInMemory(database.url, { profile: "supabase" });
  const saved = await readSavedTables(asRepository(backup), {
    ...{ backupId: "memory", signal: new AbortController().signal },
  });
  const told = saved.map((table) =>
    [table.sqlName, table.holds, table.rows, table.partitionOf, table.refersTo.join()] as const
  );
  assert.deepEqual(told.toSorted(), [
    ['"auth"."identities"', "of-users", 0, null, '"auth"."users"'],
    ['"auth"."users"', "users", 2, null, ""],
    ['"public"."cache"', "own", 1, null, ""],
    ['"public"."of b"', "own", 1, null, '"auth"."users"'],
    ['"public"."part"', "own", 1, '"public"."parted"', ""],
    ['"public"."parted"', "own", 0, null, '"public"."of b"'],
    ['"storage"."objects"', "files", 0, null, ""],
  ]);
  const part = saved.find(({ name }) => name === "part");
  assert.deepEqual(part?.columns, ["id", "owner"]);
  assert.deepEqual(saved.filter(({ isUnlogged }) => isUnlogged).map(({ name }) => name), ["cache"]);
});
