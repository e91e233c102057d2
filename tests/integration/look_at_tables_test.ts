import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  findStrangers,
  lookAtTables,
  type OtherTable,
} from "../../supabase/functions/backup/usecases/mend/look_at_tables.ts";
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
