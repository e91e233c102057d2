/**
 * Partitions by the hash of an enum: the hash follows OIDs, so rows of one partition may belong into
 * another one of the target.
 *
 * @module
 */
import assert from "node:assert/strict";
import { backupInMemory, scratchDatabase } from "../support/memory_backup.ts";
import { restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create type mood as enum ('m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8');
  create table moods (m mood, n int) partition by hash (m);
  create table moods_0 partition of moods for values with (modulus 2, remainder 0);
  create table moods_1 (n int, m mood);
  alter table moods attach partition moods_1 for values with (modulus 2, remainder 1);
  insert into moods select m, n from unnest(enum_range(null::mood)) m, generate_series(1, 50) n;
`;
const STATE = "select md5(string_agg(t::text, ',' order by m, n)) as md5 from moods t";

Deno.test("rows of partitions by the hash of an enum find their places, in an empty database and over one", async () => {
  const run = crypto.randomUUID().slice(0, 8);
  const server = await testServer(17);
  await using source = await scratchDatabase(server, `enum_hash_source_${run}`);
  await using target = await scratchDatabase(server, `enum_hash_target_${run}`);
  await source.run(SAMPLE);
  const backup = await backupInMemory(source.url);
  await restoreBackup(backup, target.url, { mode: "empty" });
  assert.deepEqual(await target.run(STATE), await source.run(STATE));
  await target.run("delete from moods where n > 10");
  await restoreBackup(backup, target.url, { mode: "over" });
  assert.deepEqual(await target.run(STATE), await source.run(STATE));
});
