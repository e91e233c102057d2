/**
 * Security labels, set through a provider of our own that is built for Debian's server: saved, restored,
 * and left out by name where no provider takes them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  buildModule,
  canBuildModules,
  DEBIAN_REASON,
  debianServer,
  hasDebianServer,
} from "../support/debian_server.ts";
import { backupInMemory, scratchDatabase } from "../support/memory_backup.ts";
import { differences, pgDump, statementsOf } from "../support/pg_dump.ts";
import type { RestoreReport } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const PROVIDER = fileURLToPath(
  new URL("../fixtures/label_provider/label_provider.c", import.meta.url),
);

const possible = hasDebianServer() && canBuildModules();
const reason = possible ? "" : ` (skipped: ${DEBIAN_REASON} with gcc and its headers)`;

/** One object of every kind that SECURITY LABEL knows, by the words that name it. */
const OBJECTS = [
  "table app.notes",
  'column app.notes."a column"',
  "sequence app.numbers",
  "view app.seen",
  "column app.seen.id",
  "materialized view app.kept",
  "foreign table app.far",
  "column app.far.id",
  "function app.f(int, text)",
  "procedure app.p(int)",
  "routine app.r()",
  "aggregate app.total(int)",
  "type app.mood",
  "type app.pair",
  "domain app.positive",
  "schema app",
  "language c_language",
  "event trigger c_seen",
  "publication c_all",
  "large object 4711",
  "role c_labelled",
];

const SAMPLE = `
  create schema app;
  create table app.notes (id int primary key, "a column" text);
  create sequence app.numbers;
  create view app.seen as select id from app.notes;
  create materialized view app.kept as select id from app.notes;
  create foreign data wrapper c_wrapper;
  create server c_server foreign data wrapper c_wrapper;
  create foreign table app.far (id int) server c_server;
  create function app.f(int, text) returns int language sql as 'select 1';
  create procedure app.p(int) language sql as 'select 1';
  create function app.r() returns int language sql as 'select 1';
  create aggregate app.total(int) (sfunc = int4pl, stype = int, initcond = '0');
  create type app.mood as enum ('calm', 'wild');
  create type app.pair as (a int, b int);
  create domain app.positive as int check (value > 0);
  create function app.on_ddl() returns event_trigger language plpgsql as 'begin end';
  create event trigger c_seen on ddl_command_end execute function app.on_ddl();
  create publication c_all for all tables;
  create language c_language handler plpgsql_call_handler;
  create role c_labelled;
  select lo_create(4711);
`;

const LABELS = `
  select l.objtype || ' ' || l.objname || ' ' || l.provider || ' ' || l.label as line
    from pg_seclabels l
   where l.objtype <> 'database' or l.objname = quote_ident(current_database()) order by (l.objtype || l.objname) collate "C"`;

Deno.test({
  name: `labels of every kind of object are saved and restored${reason}`,
  ignore: !possible,
  async fn() {
    await using module = await buildModule(PROVIDER);
    await using server = (await debianServer({ preload: [module.path] }))!;
    await using source = await scratchDatabase(server, "c_labels");
    await using target = await scratchDatabase(server, "c_labels_target");
    await source.run(SAMPLE);
    const label = (object: string, text: string) =>
      `security label for "test labels" on ${object} is '${text}';`;
    for (const [number, object] of [...OBJECTS, "database c_labels"].entries()) {
      await source.run(label(object, `it''s "the" \\n label ${number}`));
    }
    const backup = await backupInMemory(source.url);
    const expected = await source.run(LABELS);
    assert.equal(expected.length, OBJECTS.length + 1);
    await source.run("drop role c_labelled"); // which the restore makes again, for all databases

    const report = await restoreBackup(backup, target.url);
    const renamed = expected.map(({ line }) => line.replace("c_labels ", "c_labels_target "));
    assert.deepEqual((await target.run(LABELS)).map(({ line }) => line), renamed);
    assert.deepEqual(report.comparison?.differences, []);
    const dump = async (database: typeof source, name: string) =>
      statementsOf(await pgDump(database.url, { major: 15, create: true }), name);
    assert.equal(
      differences(await dump(source, "c_labels"), await dump(target, "c_labels_target")),
      "",
    );

    // Over a live database: a label that changed, one that is new and one that is gone.
    await target.run(label("table app.notes", "changed") + label("table app.notes", "twice"));
    await target.run(`security label for "test labels" on column app.seen.id is null`);
    await target.run(label("column app.notes.id", "new"));
    await target.run(label("database c_labels_target", "changed"));
    const over = await restoreBackup(backup, target.url);
    assert.equal(over.plan.mode, "over");
    assert.deepEqual((await target.run(LABELS)).map(({ line }) => line), renamed);
  },
});

Deno.test({
  name: `labels whose provider the target lacks are left out by name${reason}`,
  ignore: !possible,
  async fn() {
    await using module = await buildModule(PROVIDER);
    await using labelled = (await debianServer({ preload: [module.path] }))!;
    await using source = await scratchDatabase(labelled, "c_labels");
    await source.run(`
      create table public.notes (id int); insert into notes select generate_series(1, 3);
      security label for "test labels" on table notes is 'x'`);
    const backup = await backupInMemory(source.url);
    const server = await testServer(15);
    await using target = await scratchDatabase(server, "c_labels_none");
    const label = /label of table TABLE "public"\."notes": .*"test labels"/;
    const empty = await restoreBackup(backup, target.url);
    const leftOut = (report: RestoreReport) =>
      report.leftOut.map((each) => `${each.identity}: ${each.reason}`).join("\n");
    assert.match(leftOut(empty), label);
    assert.equal((await target.run("select * from notes")).length, 3);

    await target.run("delete from notes where id > 1");
    const over = await restoreBackup(backup, target.url);
    assert.equal(over.plan.mode, "over");
    assert.match(leftOut(over), label);
    assert.equal((await target.run("select * from notes")).length, 3);
  },
});
