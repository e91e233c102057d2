/**
 * Live databases whose tables stand and are empty, restored in parts: what is there stays, whatever
 * happens on the way.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { readRestoreTraces } from "../../supabase/functions/backup/postgres/restore_traces.ts";
import type { RestoreRequest } from "../../supabase/functions/backup/restore/mod.ts";
import { backupInRanges } from "../support/backup_in_ranges.ts";
import { databaseState } from "../support/database_state.ts";
import type { MemoryBackup } from "../support/memory_backup.ts";
import { Killed, Mortal, PartsOfRestore } from "../support/parts_of_restore.ts";
import { failure } from "../support/restore_backup.ts";
import {
  runSql,
  type TemporaryDatabase,
  temporaryDatabase,
} from "../support/temporary_database.ts";

/** Keys in a circle, and whatever acts on rows or on new objects. */
const SCHEMA = `
  create table heard (what text);
  create function hear() returns trigger language plpgsql security definer set search_path = '' as
    $$ begin insert into public.heard values (tg_name); return new; end $$;
  create function hear_of_objects() returns event_trigger language plpgsql as
    $$ begin insert into public.heard values (tg_tag); end $$;
  create type size as enum ('small', 'large');
  create table shops (id int primary key, boss int);
  create table people (id int generated always as identity primary key, shop int not null references shops,
                       name text unique, shout text generated always as (upper(name)) stored);
  alter table shops add foreign key (boss) references people;
  create table goods (id serial, size size not null, shop int references shops)
    partition by hash (size);
  create table goods_1 partition of goods for values with (modulus 2, remainder 0);
  create table goods_2 partition of goods for values with (modulus 2, remainder 1);
  create table days (at date not null, shop int references shops) partition by range (at);
  create table days_1 partition of days for values from ('2026-01-01') to ('2026-07-01');
  create table days_2 partition of days default;
  create table rates (code text primary key, rate numeric);
  create table notes (id int primary key, of int references people, body text);
  create index on notes (body);
  create materialized view counted as select shop, count(*) as many from people group by shop;
  create trigger hears before insert on people for each row execute function hear();
  create trigger always_hears before insert on people for each row execute function hear();
  alter table people enable always trigger always_hears;
  create trigger days_hear after insert on days for each row execute function hear();
  alter table days enable always trigger days_hear;
  alter table people enable row level security;
  create policy all_of_them on people using (true);
  alter default privileges in schema public grant select on tables to public`;
const ROWS = `
  insert into shops select i from generate_series(1, 5) i;
  insert into people (shop, name) select 1 + i % 5, 'p' || i from generate_series(1, 400) i;
  update shops set boss = id;
  insert into goods (size, shop)
    select (array['small', 'large'])[1 + i % 2]::size, 1 + i % 5 from generate_series(1, 60) i;
  insert into days select date '2026-06-01' + i, 1 + i % 5 from generate_series(1, 60) i;
  insert into rates values ('a', 1.5), ('b', 2.5);
  insert into notes select i, i, 'n' || i from generate_series(1, 50) i;
  refresh materialized view counted;
  truncate heard`;
/** What rows break that were there before it. */
const LATE = `
  alter table people add constraint short check (length(name) < 4) not valid;
  create event trigger hears_of_objects on ddl_command_end execute function hear_of_objects();`;
const SAMPLE = `${SCHEMA};${ROWS};${LATE}`;
const EMPTIED = "truncate shops, people, goods, days, notes, heard restart identity";

/** A source, its backup, and a live database that was the same and is emptied. */
async function emptied(sql = EMPTIED) {
  // A major version that cannot switch event triggers off.
  const source = await temporaryDatabase("fill_source", { major: 15 });
  await runSql(source.url, SAMPLE);
  const backup = await backupInRanges(source.url, "people");
  const target = await temporaryDatabase("fill_target", { major: 15 });
  await runSql(target.url, SAMPLE);
  // Its own: where rows of hash partitions lie differs from database to database.
  const state = await databaseState(target.url);
  await runSql(target.url, sql);
  const close = async () => {
    await source[Symbol.asyncDispose]();
    await target[Symbol.asyncDispose]();
  };
  return { backup, target, state, [Symbol.asyncDispose]: close };
}

const restoreOf = (
  backup: MemoryBackup,
  target: TemporaryDatabase,
  request: RestoreRequest = {},
) =>
  new PartsOfRestore(backup, target.url, {
    ...{ maxWholeBytes: 1, commandLine: "deno task restore --backup it" },
    request: { mode: "over", lockTimeoutMs: 5000, ...request },
  });

async function count(url: string, sql: string): Promise<number> {
  const session = await connect({ url });
  const [row] = await session.query(sql).finally(() => session.close());
  return Number(Object.values(row!)[0]);
}

const isRows = ({ name }: { name: string }) => name === "loading-rows";
const isCommitOfRows = (sql: string) => /restore_marks.*COMMIT$/s.test(sql);

Deno.test("an emptied live database is filled in parts, by workers that die, and nothing reacts to it", async () => {
  // One table is gone, with what stood on it, and one holds what it should.
  await using it = await emptied(`${EMPTIED}; drop table notes; drop materialized view counted`);
  const { backup, target, state } = it;
  await runSql(target.url, "truncate heard; select setval('goods_id_seq', 1000)");
  const restore = restoreOf(backup, target);
  const names = new Set<string>();
  let deaths = 0;
  for (;;) {
    const part = restore.ready[0];
    if (part === undefined) break;
    names.add(part.name);
    // The first to plan makes the place for marks, and is gone before it could tell.
    if (part.name === "planning") await restore.work(part, { record: false });
    if (isRows(part)) {
      // Of each part the first worker dies before its commit, the second after it.
      for (const how of ["before", "after"] as const) {
        const mortal = new Mortal(target.url, { at: isCommitOfRows, how });
        await assert.rejects(restore.work(part, { definition: restore.define(mortal) }), Killed);
        deaths++;
      }
    }
    await restore.work(part);
  }
  assert.ok(deaths >= 8, `${deaths} deaths`);
  assert.ok(names.has("checking-foreign-keys") && !names.has("restoring-at-once"));
  assert.deepEqual(restore.report?.comparison?.differences, []);
  assert.equal(restore.report?.safetyBackupId, null);
  assert.equal(restore.report?.rowsLoaded, 5 + 400 + 60 + 60 + 50);
  assert.equal(
    await count(target.url, "select last_value from goods_id_seq"),
    1000,
    "not set back",
  );
  await runSql(target.url, "select setval('goods_id_seq', 60)");
  assert.deepEqual(await databaseState(target.url), state);
  assert.equal(
    await count(target.url, "select count(*) from pg_namespace where nspname = 'backup_internal'"),
    0,
  );
});

async function tracesIn(url: string): Promise<string[]> {
  const session = await connect({ url });
  const traces = await readRestoreTraces((sql) => session.query(sql))
    .finally(() => session.close());
  return traces.map(({ jobId }) => jobId);
}

/** Lets somebody write before unit number `at` of the rows, or behind the last, and tells how it ends. */
async function disturbed(
  { backup, target }: { backup: MemoryBackup; target: TemporaryDatabase },
  writes: readonly { at: number; sql: string }[],
): Promise<{ jobId: string; said: string[] }> {
  const restore = restoreOf(backup, target);
  let unit = -1;
  for (const { at, sql } of writes) {
    await restore.workUntil((part) => isRows(part) ? ++unit === at : unit >= 0);
    await runSql(target.url, `set session_replication_role = replica; ${sql}`);
    unit--;
  }
  const { details } = await failure(restore.workUntil());
  await restore.define().end!("failed", restore);
  assert.deepEqual(await tracesIn(target.url), [restore.jobId]);
  const { failed, differences } = details as Record<string, Record<string, string>[]>;
  const said = [...failed!, ...differences!].map((each) =>
    `${each.identity}: ${each.message ?? each.what}`
  );
  return { jobId: restore.jobId, said };
}

Deno.test("rows that somebody writes meanwhile are noticed, named and kept, and the restore is completed when they are gone", async () => {
  await using it = await emptied();
  const { target, backup, state } = it;
  const { jobId, said } = await disturbed(it, [
    { at: 0, sql: "insert into shops values (9)" },
    { at: 1, sql: "insert into people (id, shop) overriding system value values (999, 9)" },
    { at: 99, sql: "update notes set body = 'new' where id = 7; delete from people where id = 3" },
  ]);
  for (
    const each of [
      /"shops": Cannot load .* holds rows that this restore has not loaded/,
      /"people": Cannot load .* holds rows that this restore has not loaded/,
      /"notes": other rows/,
      /public.notes notes_of_fkey: rows refer to what public.people does not hold/,
    ]
  ) assert.ok(said.some((line) => each.test(line)), `${each} in ${said.join("\n")}`);
  const kept =
    "(select count(*) from shops where id = 9) + (select count(*) from people where shop = 9)";
  assert.equal(await count(target.url, `select ${kept}`), 2);
  assert.equal(await count(target.url, "select count(*) from days"), 60);

  const completing = () => restoreOf(backup, target, { completes: jobId });
  const refused = await failure(completing().workUntil());
  assert.equal(refused.code, "restore_refused");
  assert.match(refused.message, /Cannot complete .* not as it was left: .*"shops"/);
  await runSql(
    target.url,
    `set session_replication_role = replica; delete from shops; delete from people; delete from heard;
     insert into rates values ('c', 3)`,
  );
  const completed = completing();
  // The first to plan takes the trace over, and is gone before it could tell.
  await completed.work(completed.ready[0]!, { record: false });
  await completed.workUntil();
  assert.equal(completed.report?.rowsLoaded, 405, "and no row twice");
  assert.deepEqual(await tracesIn(target.url), []);
  // What was loaded whole and changed since, in its number of rows or without, is its users' own.
  const theirs = completed.report!.leftOut.filter(({ reason }) =>
    /others have written/.test(reason)
  );
  assert.deepEqual(theirs.map(({ identity }) => identity.split(" ").at(-1)), [
    ...['"public"."notes"'],
  ]);
  await runSql(
    target.url,
    "delete from rates where code = 'c'; update notes set body = 'n7' where body = 'new'",
  );
  assert.deepEqual(await databaseState(target.url), state);

  await runSql(target.url, EMPTIED);
  const fewer = "delete from people where id = (select min(id) from people)";
  const lacking = await disturbed(it, [{ at: 1, sql: fewer }]);
  assert.match(
    lacking.said[0]!,
    /"people": Cannot load .* lacks rows that this restore has loaded/,
  );
});

Deno.test("a live database where something would have to be replaced is refused, with what that is", async () => {
  await using it = await emptied();
  const { backup, target } = it;
  const refuse = async (...named: RegExp[]) => {
    const before = await databaseState(target.url);
    const error = await failure(restoreOf(backup, target).workUntil());
    assert.equal(error.code, "over_budget");
    const [, why = ""] = error.hint!.split(
      "Nothing was changed. Run it on any computer: deno task restore --backup it. In parts",
    );
    for (const each of named) assert.match(why, each);
    assert.deepEqual(await databaseState(target.url), before);
  };
  await runSql(target.url, "insert into notes values (1, null, 'mine'); update rates set rate = 9");
  await refuse(/"notes"/, /"rates"/);
  await runSql(
    target.url,
    "drop index notes_body_idx; create index notes_body_idx on notes (body, id); " +
      "grant update on days to public",
  );
  await refuse(/"notes_body_idx"/, /"days"/);

  // What is lost alone touches none of that.
  const request = { onlyLost: true, tables: ["public.people", "public.shops"] };
  const some = new PartsOfRestore(backup, target.url, { request, maxWholeBytes: 1 });
  await some.workUntil();
  assert.equal(some.report?.rowsLoaded, 405);
  const others = "(select count(*) from notes) + (select count(*) from rates where rate = 9)";
  assert.equal(await count(target.url, `select ${others}`), 3);
});
