/**
 * What is done otherwise for large tables: their keys begin as indexes, and their rows are compared in pieces.
 *
 * @module
 */
import assert from "node:assert/strict";
import { compareModels } from "../../supabase/functions/backup/restore/mod.ts";
import type { ComparedLoads } from "../../supabase/functions/backup/restore/compare_rows.ts";
import {
  compareBlocks,
  splitComparisons,
  type TableBlocks,
} from "../../supabase/functions/backup/restore/split_comparison.ts";
import { type MemoryBackup, openPinned, scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, failure, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

/** 48 MB of rows as they are copied, which the server keeps in little space. */
const SAMPLE = `
  create table large (id int, code text, body text not null, constraint "the ""key""" primary key (id, code));
  insert into large select i, 'c' || i, repeat(md5(i::text), 250) from generate_series(1, 6000) i;
  alter table large add unique (code), add constraint ends unique (id) deferrable initially deferred;
  alter table large replica identity using index large_code_key, cluster on "the ""key""";
  comment on constraint large_code_key on large is 'said';
  comment on index "the ""key""" is 'said, too';
  create index on large (body);
  create table refers (id int, code text, foreign key (id, code) references large);`;

/** The rows of the one table, as a restore compares them. */
function loadsOf({ facts }: MemoryBackup): ComparedLoads {
  const parts = facts.dataParts.filter(({ rows }) => rows > 0);
  const entry = facts.entries.find(({ key }) => key === parts[0]!.entry)!;
  const data = facts.tableData.find((each) => each.entry === entry.key)!;
  return [{ entry, data, parts, clear: "none", checkForeignKeys: false }];
}

Deno.test("a large table is restored as it was, and one changed row in any piece is found", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "large_source");
  await using target = await scratchDatabase(server, "large_target");
  await source.run(SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  await restoreBackup(backup, target.url, { jobs: 2 });
  const now = await backupWithoutRoles(target.url);
  const options = { sameMajor: true, leftOut: [] };
  const { differences } = compareModels(backup.facts.entries, now.facts.entries, options);
  assert.deepEqual(differences, []);

  const session = await openPinned(target.url);
  const compare = async () => {
    const pieces = await splitComparisons(session, [loadsOf(backup)]) as TableBlocks[];
    assert.equal(pieces.length, 3);
    const found = [];
    for (const piece of pieces) found.push(await compareBlocks(session, piece));
    return found.filter((each) => each !== null).map(({ what }) => what);
  };
  try {
    assert.deepEqual(await compare(), []);
    for (const id of [1, 3000, 6000]) {
      await session.execute("begin");
      await session.execute(`update public.large set body = body || '!' where id = ${id}`);
      assert.deepEqual(await compare(), ["other rows by their fingerprint"]);
      await session.execute("rollback");
    }
    await session.execute("begin; delete from public.large where id = 6000");
    assert.deepEqual(await compare(), ["5999 rows, not 6000"]);
    await session.execute("rollback");
  } finally {
    await session.close();
  }
});

Deno.test("rows that break a large table's key are told, with the constraint that needs it", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "large_source");
  await using target = await scratchDatabase(server, "large_target");
  await source.run(`create table large (id int, body text);
    insert into large select 1 + i % 1500, repeat('x', 8000) from generate_series(1, 2000) i`);
  const backup = await backupWithoutRoles(source.url);
  await source.run("delete from large where ctid not in (select min(ctid) from large group by id)");
  await source.run("alter table large add primary key (id)");
  const { facts } = await backupWithoutRoles(source.url);
  const broken = { ...backup, facts: { ...facts, dataParts: backup.facts.dataParts } };
  const error = await failure(restoreBackup(broken, target.url, { jobs: 2 }));
  assert.equal(error.code, "restore_mismatch");
  const { failed, skipped } = error.details as Record<string, { identity: string }[]>;
  assert.deepEqual(failed!.map(({ identity }) => identity), [`index INDEX "public"."large_pkey"`]);
  assert.deepEqual(skipped!.map(({ identity }) => identity), [
    `constraint CONSTRAINT "large_pkey" ON "public"."large"`,
  ]);
});
