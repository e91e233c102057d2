/**
 * What a server lacks besides extensions and roles: label providers, tablespaces, collations.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Entry } from "../../supabase/functions/backup/core/model.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { type MemoryBackup, scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, failure, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

/** The backup with some entries in another form. */
function changed(backup: MemoryBackup, change: (entry: Entry) => Entry): MemoryBackup {
  return { ...backup, facts: { ...backup.facts, entries: backup.facts.entries.map(change) } };
}

Deno.test("labels of a provider that the target has not loaded are left out and reported", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "a_label_source");
  await using target = await scratchDatabase(server, "a_label_target");
  await source.run("create table t (id int); comment on table t is 'kept'");
  const label = `SECURITY LABEL FOR "absent" ON TABLE "public"."t" IS 'secret'`;
  const backup = changed(
    await backupWithoutRoles(source.url),
    (entry) =>
      entry.kind === "table"
        ? { ...entry, statements: { ...entry.statements, label: [label] } }
        : entry,
  );
  backup.facts.entries.unshift({
    ...backup.facts.entries[0]!,
    key: "pg_authid:1",
    kind: "role",
    section: "pre-data",
    schema: null,
    name: "a_labelled",
    identity: 'role ROLE "a_labelled"',
    dependsOn: [],
    statements: {
      create: ['CREATE ROLE "a_labelled"'],
      drop: [],
      owner: [],
      comment: [],
      label: [`SECURITY LABEL FOR "absent" ON ROLE "a_labelled" IS 'secret'`],
      acl: [],
    },
  });
  try {
    const report = await restoreBackup(backup, target.url);
    const reason = 'the target has not loaded the provider "absent"';
    assert.deepEqual(report.leftOut, [
      { identity: 'label of role ROLE "a_labelled"', reason },
      { identity: 'label of table TABLE "public"."t"', reason },
    ]);
    const again = await restoreBackup(backup, target.url);
    assert.equal(again.plan.mode, "over");
    assert.deepEqual(again.comparison?.differences, []);
  } finally {
    await target.run("drop role if exists a_labelled");
  }
});

Deno.test("a tablespace that the target lacks is found beforehand, or done without", async () => {
  const server = await testServer(17);
  const admin = await connect({ url: server.url() });
  let backup: MemoryBackup;
  try {
    await admin.execute("set allow_in_place_tablespaces = on");
    await admin.execute("create tablespace a_fast location ''");
    try {
      await using source = await scratchDatabase(server, "a_space_source");
      await source.run(`
        create table t (id int, v text, w int) tablespace a_fast;
        alter table t add primary key (id) using index tablespace a_fast;
        create index i on t (v) tablespace a_fast where v <> ' TABLESPACE "a_fast"';
        create index j on t (w) tablespace a_fast;
        create materialized view m tablespace a_fast as select * from t;
        insert into t values (1, 'x')`);
      backup = await backupWithoutRoles(source.url);
    } finally {
      await admin.execute("drop tablespace a_fast");
    }
  } finally {
    await admin.close();
  }
  await using target = await scratchDatabase(server, "a_space_target");
  const error = await failure(restoreBackup(backup, target.url));
  assert.equal(error.code, "target_unfit");
  assert.match(error.message, /tablespace a_fast: .* lies in it/);
  const report = await restoreBackup(backup, target.url, {
    acceptHazards: ["missing-tablespace"],
  });
  assert.deepEqual(report.comparison?.differences, []);
  assert.deepEqual(
    report.leftOut.map(({ identity }) => identity).filter((each) =>
      !each.startsWith("tablespace T")
    )
      .sort(),
    [
      'tablespace of constraint CONSTRAINT "t_pkey" ON "public"."t"',
      'tablespace of index INDEX "public"."i"',
      'tablespace of index INDEX "public"."j"',
      'tablespace of materialized-view MATERIALIZED VIEW "public"."m"',
      'tablespace of table TABLE "public"."t"',
    ],
  );
  assert.equal((await target.run("select from m")).length, 1);
  const [index] = await target.run("select pg_get_indexdef('i'::regclass) as sql");
  assert.match(index?.sql, /TABLESPACE "a_fast"'/, "text of the user is not a clause");
});

Deno.test("collations that the target cannot provide are found beforehand", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "a_collation_source");
  await using target = await scratchDatabase(server, "a_collation_target");
  await source.run(`
    create collation own (provider = libc, locale = 'C');
    create collation fine (provider = libc, locale = 'C');
    create table t (a text collate own, b text collate "C", c text collate "POSIX",
      d text collate fine)`);
  const backup = changed(await backupWithoutRoles(source.url), (entry) => ({
    ...entry,
    statements: {
      ...entry.statements,
      create: entry.statements.create.map((sql) =>
        entry.name === "own"
          ? sql.replace("locale = 'C'", "locale = 'xx_XX.utf8'")
          : sql.replace('"POSIX"', '"xx_XX.utf8"')
      ),
    },
  }));
  const { plan } = await restoreBackup(backup, target.url, { dryRun: true });
  assert.deepEqual(plan.missing.map(({ what, name }) => [what, name]), [
    ["collation", 'collation COLLATION "public"."own"'],
    ["collation", '"pg_catalog"."xx_XX.utf8"'],
  ]);
  assert.match(plan.missing[0]!.reason, /could not create locale "xx_XX.utf8"/);
  assert.match(plan.missing[1]!.reason, /table TABLE "public"."t" uses it/);
  assert.deepEqual(await target.run("select from pg_class where oid > 16384"), []);
});
