import assert from "node:assert/strict";
import type { ItemStep } from "../../supabase/functions/backup/core/items.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { configSource, configTarget } from "../../supabase/functions/backup/project/mod.ts";
import { startNetStandIn } from "../support/net_stand_in.ts";
import { applyAll, type MemoryBackup, planAll, saveAll } from "../support/saved_items.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const FLAGS = `
  create type mood as enum ('calm', 'loud');
  create table flags (
    name text primary key, is_on boolean not null, weight numeric, big bigint, at timestamptz,
    mood mood, raw bytea, detail jsonb, tags text[], pause interval,
    half numeric generated always as (weight / 2) stored, number int generated always as identity);
  insert into flags (name, is_on, weight, big, at, mood, raw, detail, tags, pause) values
    ('new-checkout', true, 0.10, 9007199254740993, '2026-01-02 03:04:05.678901+02', 'loud', '\\x00ff',
      '{"a": 12345678901234567890.5, "b": [null]}', '{a,"b c",null}', '1 mon 2 days 03:04:05'),
    ('e-mail "x"', false, 'NaN', null, 'infinity', null, null, null, '{}', null),
    ('gone', true, 1, 1, null, 'calm', null, null, null, null);
  create table no_key (word text);
  insert into no_key values ('one'), ('one'), ('two');
  create view flags_view as select * from flags;
  create schema supabase_migrations;
  create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
  insert into supabase_migrations.schema_migrations values ('20260101000000', '{"create table x ()"}', 'first');
  create schema supabase_functions;
  create function supabase_functions.http_request() returns trigger language plpgsql as
    'begin return new; end';
  create trigger hook after insert on flags for each row
    execute function supabase_functions.http_request('https://hooks.example', 'POST');
  create index flags_weight on flags (weight);
  select cron.schedule('tidy', '0 3 * * *', 'delete from flags');`;

const TABLES = ["public.flags", 'public."no_key"', "public.flags_view", "public.nothing"];

async function execute(url: string, sql: string): Promise<void> {
  const session = await connect({ url });
  try {
    await session.execute(sql);
  } finally {
    await session.close();
  }
}

function source(url: string, settingsTables = TABLES, own = {}) {
  return configSource({
    ...own,
    projectRef: null,
    api: null,
    connect: () => connect({ url }),
    environment: { variable: () => undefined, declared: [] },
    settingsTables,
  });
}

function target(url: string, backup: MemoryBackup, own = {}) {
  return configTarget({ ...own, api: null, connect: () => connect({ url }), open: backup.open });
}

function step(steps: readonly ItemStep[], key: string): ItemStep {
  const found = steps.find((each) => each.key === key);
  assert.ok(found, `no step for ${key}`);
  return found;
}

async function filledDatabase() {
  const temporary = await temporaryDatabase("m2_rows");
  const net = await startNetStandIn(temporary.url);
  await execute(temporary.url, FLAGS);
  return {
    url: temporary.url,
    async [Symbol.asyncDispose]() {
      await net[Symbol.asyncDispose]();
      await temporary[Symbol.asyncDispose]();
    },
  };
}

Deno.test("rows of settings tables, migrations, indexes, webhooks and cron jobs are saved as the server writes them", async () => {
  await using database = await filledDatabase();
  const saved = await saveAll(source(database.url));
  const failures = saved.items.flatMap(({ key, failure }) => failure ? [[key, failure.code]] : []);
  assert.deepEqual(failures, [["table/public.flags_view", "unsupported_object"]]);
  const flags = saved.text("table/public.flags", "rows.jsonl").trim().split("\n");
  assert.equal(flags.length, 3);
  assert.match(flags.join(), /9007199254740993/);
  assert.match(flags.join(), /12345678901234567890\.5/);
  assert.match(saved.text("migrations", "rows.jsonl"), /"version": "20260101000000"/);
  assert.match(saved.text("index-definitions", "rows.jsonl"), /CREATE INDEX flags_weight/);
  assert.match(saved.text("cron-jobs", "rows.jsonl"), /"name": "tidy"/);
  assert.match(saved.text("database-webhooks", "rows.jsonl"), /https:\/\/hooks\.example/);
  const nothing = JSON.parse(saved.text("table/public.nothing", "section.json"));
  assert.equal(nothing.absent, "the database has none");
});

Deno.test("rows that were lost or changed come back exactly, and rows that only the target has stay", async () => {
  await using database = await filledDatabase();
  const saved = await saveAll(source(database.url));
  await execute(
    database.url,
    `delete from flags where name = 'gone';
     update flags set weight = 0.2, big = 0, raw = null, detail = '{}' where name = 'new-checkout';
     update flags set weight = 1, at = now() where name like 'e-mail%';
     insert into flags (name, is_on) values ('mine', true)`,
  );
  const into = target(database.url, saved);
  const steps = await planAll(into, saved);
  assert.deepEqual(step(steps, "table/public.flags").difference, {
    missing: 1,
    different: 2,
    extra: 1,
  });
  assert.ok(!JSON.stringify(steps).includes("new-checkout"), "a plan shows no rows");

  const results = await applyAll(into, { backup: saved, steps });
  assert.deepEqual(results.map(({ key, outcome }) => [key, outcome]), [
    ["table/public.flags", "done"],
  ]);
  assert.equal(step(await planAll(into, saved), "table/public.flags").action, "keep");
  const session = await connect({ url: database.url });
  try {
    const [row] = await session.query(
      `select count(*)::int as rows, bool_or(name = 'mine') as mine,
        max(big)::text as big, bool_or(at = 'infinity') as forever, bool_or(weight = 'NaN') as nan
        from flags`,
    );
    assert.deepEqual(row, {
      rows: 4,
      mine: true,
      big: "9007199254740993",
      forever: true,
      nan: true,
    });
  } finally {
    await session.close();
  }
});

Deno.test("what comes back with the database is compared and left to the database's restore", async () => {
  await using database = await filledDatabase();
  const saved = await saveAll(source(database.url));
  await using other = await temporaryDatabase("m2_rows");
  const steps = await planAll(target(other.url, saved), saved);
  assert.match(
    step(steps, "cron-jobs").title,
    /^cron jobs: 1 of 1 .* come back with the database$/,
  );
  for (const key of ["cron-jobs", "migrations", "index-definitions", "database-webhooks"]) {
    assert.equal(step(steps, key).action, "by-hand", key);
  }
  assert.equal(step(steps, "table/public.flags").action, "by-hand");
  assert.match(step(steps, "table/public.flags").title, /no such table/);
  const same = await planAll(target(database.url, saved), saved);
  const open = same.filter(({ action, key }) => action !== "keep" && key !== "environment");
  assert.deepEqual(open, []);
  await execute(database.url, "update cron.job set active = false");
  const off = step(await planAll(target(database.url, saved), saved), "cron-jobs");
  assert.match(off.title, /^cron jobs: 1 are otherwise here; .* until somebody switches them on$/);
});

Deno.test("indexes of this service's own tables are neither saved nor missed", async () => {
  await using database = await filledDatabase();
  const tables = [["backup_internal", "parts"], ["public", "backup_jobs"]];
  const make = tables.map(([schema, name]) =>
    `create table ${schema}.${name} (id int primary key)`
  );
  await execute(database.url, `create schema backup_internal; ${make.join("; ")}`);
  const own = { own: { schemas: ["backup_internal"], tables: ["public.backup_jobs"] } };
  const saved = await saveAll(source(database.url, [], own));
  assert.match(saved.text("index-definitions", "rows.jsonl"), /flags_weight/);
  assert.doesNotMatch(saved.text("index-definitions", "rows.jsonl"), /backup_/);

  const withThem = await saveAll(source(database.url, []));
  assert.match(withThem.text("index-definitions", "rows.jsonl"), /backup_internal/);
  await execute(database.url, "drop schema backup_internal cascade; drop table public.backup_jobs");
  const plan = async (options = {}) => {
    const steps = await planAll(target(database.url, withThem, options), withThem);
    return step(steps, "index-definitions").action;
  };
  assert.deepEqual([await plan(), await plan(own)], ["by-hand", "keep"]);
});

Deno.test("a table without a key, or with a trigger that changes rows, is not said to be restored", async () => {
  await using database = await filledDatabase();
  const saved = await saveAll(source(database.url));
  await execute(
    database.url,
    `delete from no_key;
     delete from flags where name = 'gone';
     create function meddle() returns trigger language plpgsql as
       'begin new.is_on := false; return new; end';
     create trigger meddle before insert or update on flags for each row execute function meddle()`,
  );
  const into = target(database.url, saved);
  const steps = await planAll(into, saved);
  assert.equal(step(steps, 'table/public."no_key"').action, "by-hand");
  const [result] = await applyAll(into, { backup: saved, steps });
  assert.equal(result?.failure?.code, "restore_mismatch");
  const again = step(await planAll(into, saved), "table/public.flags");
  assert.deepEqual(again.difference, { missing: 1, different: 0, extra: 0 }, "nothing was changed");
});

Deno.test("a target whose table lacks a column or its key refuses the rows", async () => {
  await using database = await filledDatabase();
  const saved = await saveAll(source(database.url));
  await execute(database.url, "alter table flags drop column pause cascade; delete from flags");
  const into = target(database.url, saved);
  const [result] = await applyAll(into, { backup: saved, steps: await planAll(into, saved) });
  assert.equal(result?.failure?.code, "target_unfit");
  assert.match(result?.failure?.message ?? "", /it lacks the columns pause/);
});

Deno.test("a table that is too large is told of, and read by nobody", async () => {
  await using temporary = await temporaryDatabase("m2_rows");
  await execute(
    temporary.url,
    `create table large (id int primary key, filler text);
     alter table large alter filler set storage external;
     insert into large values (1, repeat('x', 9000000))`,
  );
  const saved = await saveAll(source(temporary.url, ["public.large"]));
  const failure = saved.items.find(({ key }) => key === "table/public.large")?.failure;
  assert.equal(failure?.code, "unsupported_object");
  assert.match(failure?.message ?? "", /at most 8388608 are read here/);
});
