/**
 * That reading a schema asks the server as often whatever its size; and where it is read slice by slice, as
 * often for each slice, whatever lies in it.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  cutCatalog,
  describeTableData,
  orderSlices,
  readDatabase,
  readSlice,
  recheck,
  type SliceReading,
} from "../../supabase/functions/backup/dump/mod.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { DUMP_OPTIONS, openPinned } from "../support/memory_backup.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

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

/** Counts what is asked through it; `taken` gives how often since it was last called. */
function counted(session: Session): { counting: Session; taken: () => number } {
  let queries = 0;
  const counting: Session = new Proxy(session, {
    get(target, name) {
      if (name === "query" || name === "execute") queries++;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const taken = () => {
    const count = queries;
    queries = 0;
    return count;
  };
  return { counting, taken };
}

/** How often the server is asked for everything that a backup's definitions need, and what they are. */
async function countQueries(session: Session): Promise<{ queries: number; entries: number }> {
  const { counting, taken } = counted(session);
  await session.execute("begin isolation level repeatable read read only");
  const model = await readDatabase(counting, DUMP_OPTIONS);
  await describeTableData(counting, model.entries, DUMP_OPTIONS);
  await session.execute("commit");
  await recheck(counting, model.rowVersions);
  const entries = model.entries.filter(({ schema }) => schema === "public").length;
  return { queries: taken(), entries };
}

/** How often it is asked when at most so many relations are read at a time. */
async function countInSlices(session: Session, most: number) {
  const { counting, taken } = counted(session);
  await session.execute("begin isolation level repeatable read read only");
  const slices = await cutCatalog(counting, DUMP_OPTIONS, most);
  const cutting = taken();
  const readings: SliceReading[] = [];
  const bySlice: number[] = [];
  for (const slice of slices) {
    readings.push(await readSlice(counting, DUMP_OPTIONS, { slice }));
    bySlice.push(taken());
  }
  const entries = readings.map(({ lines }) => lines.length);
  const nodes = readings.map((reading) => reading.nodes);
  const leftOut = readings.flatMap((reading) => reading.leftOut);
  const { separate } = await orderSlices(counting, DUMP_OPTIONS, { nodes, leftOut });
  const ordering = taken();
  // Where two objects refer to each other one is taken apart when all are known, and its slice read again.
  const again: number[] = [];
  for (const [at, parts] of separate.entries()) {
    if (parts.length === 0) continue;
    await readSlice(counting, DUMP_OPTIONS, { slice: slices[at]!, separate: parts });
    again.push(taken());
  }
  await session.execute("commit");
  return { slices, cutting, bySlice, entries, ordering, again };
}

/** A table, two sequences and a view. */
const RELATIONS_OF_A_TABLE = 4;

for (const major of [15, 18] as const) {
  Deno.test(`a schema of 500 tables takes as many queries as one of 10 on ${major}`, async () => {
    await using database = await temporaryDatabase("large_schema", { major });
    const session = await openPinned(database.url);
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
    }
  });

  Deno.test(`slices are as many as fit the relations, and large ones take as many queries as small on ${major}`, async () => {
    const tables = 300;
    await using database = await temporaryDatabase("large_schema", { major });
    const session = await openPinned(database.url);
    try {
      await session.execute(MAKE_TABLES(1, tables));
      const [small, large] = [await countInSlices(session, 40), await countInSlices(session, 400)];
      for (const [{ slices, again }, most] of [[small, 40], [large, 400]] as const) {
        const sizes = slices.filter(({ isRest }) => !isRest).map((slice) => slice.relations.length);
        assert.equal(sizes.length, tables * RELATIONS_OF_A_TABLE / most, String(sizes));
        assert.ok(sizes.every((size) => size <= most), String(sizes));
        assert.equal(
          again.length,
          sizes.length,
          "each has a table whose sequence is its own default",
        );
      }
      // The rest comes first, by queries of its own; then the slice that has no key to a table of another.
      const [[ofRest, ofFirst, ...ofSmall], [ofSameRest, ofSameFirst, ...ofLarge]] = [
        small.bySlice,
        large.bySlice,
      ];
      assert.deepEqual([ofSameRest, ofSameFirst], [ofRest, ofFirst]);
      const each = ofSmall[0]!;
      assert.ok(ofFirst! <= each, `${ofFirst}, ${each}`);
      assert.deepEqual(new Set([...ofSmall, ...ofLarge]), new Set([each]));
      assert.ok([...small.again, ...large.again].every((queries) => queries <= each));
      assert.deepEqual([large.cutting, large.ordering], [small.cutting, small.ordering]);
      const [ofOneSmall, ofOneLarge] = [small.entries[1]!, large.entries[1]!];
      assert.ok(ofOneSmall > 40 && ofOneLarge > 9 * ofOneSmall, `${ofOneSmall}, ${ofOneLarge}`);
    } finally {
      await session.close();
    }
  });
}
