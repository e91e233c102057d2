/**
 * Restores over live tables that hold constraints by inheritance.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readCorpus } from "../support/corpus.ts";
import { scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const CHECKS = `
  create table trusting (v int);
  create table checked () inherits (trusting);
  create table checked_here (v int) inherits (trusting);
  create table below () inherits (checked);
  alter table trusting add constraint positive check (v > 0) not valid;
  alter table checked validate constraint positive`;

const SAMPLES: Record<string, { major: 17 | 18; sql: string }> = {
  "NOT NULLs": { major: 18, sql: readCorpus("inheritance--not-null-names")[0]!.schema },
  CHECKs: { major: 17, sql: CHECKS },
};

for (const [what, { major, sql }] of Object.entries(SAMPLES)) {
  Deno.test(`${what} that children have validated and their parents not are restored over`, async () => {
    const server = await testServer(major);
    await using source = await scratchDatabase(server, "d_inherited_source");
    await using target = await scratchDatabase(server, "d_inherited_target");
    await source.run(`${sql}; insert into checked values (1)`);
    const content = async (url: string) => {
      const { facts } = await backupWithoutRoles(url);
      return facts.entries.map(({ identity, statements: { create, comment } }) =>
        JSON.stringify([identity, create, comment])
      ).sort();
    };
    const before = await content(source.url);
    const backup = await backupWithoutRoles(source.url);
    await restoreBackup(backup, target.url);
    assert.deepEqual(await content(target.url), before);
    // What a restore made differs in the catalog: it calls inherited constraints the children's own.
    for (const live of [source, target]) {
      await live.run("delete from checked; insert into trusting values (2)");
      await restoreBackup(backup, live.url);
      assert.deepEqual(await content(live.url), before);
    }
  });
}
