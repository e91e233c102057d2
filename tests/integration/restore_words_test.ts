/**
 * Definitions that a server prints otherwise once it has run them: no difference, and no way to hide one.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { HAZARDS } from "../../supabase/functions/backup/restore/mod.ts";
import { type RestoreRequest } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { type MemoryBackup, scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

/** Every kind that holds an expression, each with one that reads otherwise after a round. */
const SAMPLE = `
  create schema app; set search_path = app;
  create domain code as varchar(10) check (value in ('a', 'b'));
  create table t (
    id int primary key, v varchar(10) check (v in ('a', 'b')), q int4range,
    g boolean generated always as (v in ('a', 'b')) stored,
    d boolean default ('x'::varchar in ('a', 'b')));
  alter table t add constraint later check (v in ('a', 'c')) not valid;
  alter table t add constraint ex exclude using gist (q with &&) where (v in ('a', 'b'));
  create index i on t ((v in ('a', 'b'))) where v in ('a', 'b');
  create statistics st on (v in ('a', 'b')), id from t;
  create function f(a varchar, b boolean default ('x'::varchar in ('a', 'b'))) returns boolean
    return a in ('a', 'b');
  create function changed() returns trigger language plpgsql as 'begin return new; end';
  create trigger tr before update on t for each row when (new.v in ('a', 'b'))
    execute function changed();
  create rule ru as on delete to t where old.v in ('a', 'b') do also select 1;
  create policy po on t using (v in ('a', 'b'));
  create function is_known(t) returns boolean immutable language sql as 'select true';
  create policy of_rows on t using (is_known(t.*) and v in ('a', 'b'));
  create view w as select v in ('a', 'b') as known, (select 'x') as x from t;
  create view w_on_w as select * from w where known and 'y'::varchar in ('a', 'b');
  create materialized view m as select v from t where v in ('a', 'b');
  create index mi on m ((v in ('a', 'b')));
  create table p (v varchar) partition by list ((v in ('a', 'b')));
  create table p_true partition of p for values in (true);
  insert into t (id, v) values (1, 'a'), (2, null);
  insert into p values ('a');
`;

const restore = (backup: MemoryBackup, url: string, request: RestoreRequest = {}) =>
  restoreBackup(backup, url, { acceptHazards: Object.keys(HAZARDS), ...request });

/** What a plan would put in the place of something that differs. */
async function replaced(backup: MemoryBackup, url: string): Promise<string[]> {
  const { plan } = await restore(backup, url, { mode: "over", dryRun: true });
  return plan.hazards.find((hazard) => hazard.name === "replaces-object")?.objects ?? [];
}

const printed = ({ facts }: MemoryBackup) =>
  new Map(facts.entries.map(({ identity, statements }) => [identity, statements.create.join(";")]));

for (const major of [15, 17, 18] as const) {
  Deno.test(`what PostgreSQL ${major} prints otherwise is restored, and again over itself`, async () => {
    const server = await testServer(major);
    await using source = await scratchDatabase(server, "a_words_source");
    await using target = await scratchDatabase(server, "a_words_target");
    await source.run(SAMPLE);
    const backup = await backupWithoutRoles(source.url);
    await restore(backup, target.url);

    const before = printed(backup);
    const after = printed(await backupWithoutRoles(target.url));
    const otherwise = backup.facts.entries.filter(({ identity }) =>
      after.get(identity) !== before.get(identity)
    );
    assert.deepEqual([...after.keys()].sort(), [...before.keys()].sort());
    assert.deepEqual([...new Set(otherwise.map((entry) => entry.kind))].sort(), [
      "check-constraint",
      "constraint",
      "function",
      "index",
      "materialized-view",
      "policy",
      "rule",
      "statistics",
      "table",
      "trigger",
      "type",
      "view",
    ]);

    assert.deepEqual(await replaced(backup, target.url), []);
    await restore(backup, target.url, { mode: "over" });
    assert.deepEqual(printed(await backupWithoutRoles(target.url)), after, "nothing stays behind");
    // The tables and all that is in them are made again in the midst of the live database.
    await target.run("alter table app.t add column more int; drop table app.p");
    await restore(backup, target.url);
    assert.deepEqual(printed(await backupWithoutRoles(target.url)), after);
  });
}

Deno.test("a definition that is another one is replaced, however alike it reads", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "a_unlike_source");
  await using target = await scratchDatabase(server, "a_unlike_target");
  await source.run(SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  await restore(backup, target.url);
  await target.run(`
    set search_path = app;
    alter domain code drop constraint code_check; alter domain code add check (value in ('a', 'c'));
    alter table t drop constraint later, add constraint later check (v in ('a', 'b')) not valid;
    create or replace function f(a varchar, b boolean default ('x'::varchar in ('a', 'b')))
      returns boolean return a in ('b', 'a');
    alter policy po on t using (v in ('a', 'b', null));
    create or replace view w as select v in ('a', 'b') as known, (select 'x ') as x from t;
    drop index mi; create index mi on m ((v in ('a', 'b')) desc)`);
  assert.deepEqual((await replaced(backup, target.url)).sort(), [
    'check-constraint CONSTRAINT "later" ON "app"."t"',
    'function FUNCTION "app"."f"(character varying, boolean)',
    'index INDEX "app"."mi"',
    'policy POLICY "po" ON "app"."t"',
    'type DOMAIN "app"."code"',
    'view VIEW "app"."w"',
  ]);
  await restore(backup, target.url);
  assert.deepEqual(await replaced(backup, target.url), []);
});

Deno.test("a role without superuser rights restores what its server prints otherwise", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "a_words_own_source");
  await using target = await scratchDatabase(server, "a_words_own_target");
  await using admin = await scratchDatabase(server, "a_words_own_admin");
  await admin.run("drop role if exists a_words_owner; create role a_words_owner login");
  try {
    await admin.run("alter database a_words_own_target owner to a_words_owner");
    await source.run("alter database a_words_own_source owner to a_words_owner");
    const as = (url: string) => url.replace("//postgres@", "//a_words_owner@");
    const owner = await connect({ url: as(source.url) });
    await owner.execute(SAMPLE);
    await owner.close();
    const backup = await backupWithoutRoles(source.url);
    await restore(backup, as(target.url));
    assert.deepEqual(await replaced(backup, as(target.url)), []);
    await restore(backup, as(target.url), { mode: "over" });
  } finally {
    await target[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
    await admin.run("drop role a_words_owner");
  }
});
