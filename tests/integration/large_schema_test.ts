/**
 * That reading a schema asks the server as often whatever its size.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  describeTableData,
  readDatabase,
  recheck,
} from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { DUMP_OPTIONS, openPinned } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

/** A table with all that tables usually have; each but the first refers to the one before. */
const MAKE_TABLES = (from: number, to: number) => `
  do $$ begin for i in ${from}..${to} loop
    execute format('create table public.t%s (
        id bigint generated always as identity primary key, number serial, name text default ''x'' unique,
        parent bigint, constraint c%1$s check (length(name) < 100))', i);
    execute format('create index on public.t%s (parent)', i);
    execute format('comment on column public.t%s.name is ''name''', i);
    execute format('grant select (name) on public.t%s to public', i);
    execute format('alter table public.t%s enable row level security', i);
    execute format('create policy p on public.t%s using (id > 0)', i);
    execute format('create view public.v%s as select name from public.t%1$s', i);
    if i > 1 then
      execute format('alter table public.t%s add foreign key (parent) references public.t%s', i, i - 1);
    end if;
  end loop; end $$`;

/** How often the server is asked for everything that a backup's definitions need, and what they are. */
async function countQueries(session: Session): Promise<{ queries: number; entries: number }> {
  let queries = 0;
  const counting: Session = new Proxy(session, {
    get(target, name) {
      if (name === "query" || name === "execute") queries++;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  await session.execute("begin isolation level repeatable read read only");
  const model = await readDatabase(counting, DUMP_OPTIONS);
  await describeTableData(counting, model.entries, DUMP_OPTIONS);
  await session.execute("commit");
  await recheck(counting, model.rowVersions);
  const entries = model.entries.filter(({ schema }) => schema === "public").length;
  return { queries, entries };
}

for (const major of [15, 18] as const) {
  Deno.test(`a schema of 500 tables takes as many queries as one of 10 on ${major}`, async () => {
    const server = await testServer(major);
    const name = `large_schema_${crypto.randomUUID().slice(0, 8)}`;
    const admin = await connect({ url: server.url() });
    await admin.execute(`create database ${name} template template0`);
    const session = await openPinned(server.url(name));
    try {
      await session.execute(MAKE_TABLES(1, 10));
      const few = await countQueries(session);
      await session.execute(MAKE_TABLES(11, 500));
      const many = await countQueries(session);
      assert.equal(many.queries, few.queries);
      assert.ok(
        few.entries > 100 && many.entries > 49 * few.entries,
        JSON.stringify({ few, many }),
      );
    } finally {
      await session.close();
      await admin.execute(`drop database ${name} with (force)`);
      await admin.close();
    }
  });
}
