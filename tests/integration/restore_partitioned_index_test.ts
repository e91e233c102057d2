/**
 * Partitioned indexes over constraints of partitions: no statement drops one without the other.
 *
 * @module
 */
import assert from "node:assert/strict";
import { compareModels, HAZARDS } from "../../supabase/functions/backup/restore/mod.ts";
import { scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create table p (id int not null, v text) partition by range (id);
  create table p_1 partition of p for values from (0) to (10);
  create table p_2 partition of p for values from (10) to (30) partition by range (id);
  create table p_21 partition of p_2 for values from (10) to (20);
  create table p_22 partition of p_2 for values from (20) to (30);
  alter table p_1 add constraint con_1 primary key (id);
  alter table p_21 add constraint con_21 unique (id);
  create unique index i on only p (id) with (fillfactor = 70);
  alter index i attach partition con_1;
  create unique index i_2 on only p_2 (id);
  alter index i_2 attach partition con_21;
  create unique index i_22 on p_22 (id);
  alter index i_2 attach partition i_22;
  alter index i attach partition i_2;
  create index other on p (v);
  create table refers (id int references p_1, r int);
  insert into p select n, 'row ' || n from generate_series(1, 29) n;
  insert into refers values (3, 1)`;

const CHANGES = {
  "the index": `alter table p detach partition p_1; alter table p detach partition p_2;
    drop index i; create unique index i on only p (id);
    alter table p attach partition p_1 for values from (0) to (10);
    alter table p attach partition p_2 for values from (10) to (30)`,
  "the name": "alter index i rename to gone",
  "the table": "alter table p add column more int",
  "a partition": "alter table p_21 add check (id > 0)",
};

for (const major of [17] as const) {
  Deno.test(`a partitioned index over constraints is replaced on PostgreSQL ${major}`, async () => {
    const server = await testServer(major);
    for (const [what, change] of Object.entries(CHANGES)) {
      await using target = await scratchDatabase(server, "a_partitioned");
      await target.run(SAMPLE);
      const backup = await backupWithoutRoles(target.url);
      await target.run(change);
      await restoreBackup(backup, target.url, { acceptHazards: Object.keys(HAZARDS) });
      const now = await backupWithoutRoles(target.url);
      const { differences } = compareModels(backup.facts.entries, now.facts.entries, {
        sameMajor: true,
        leftOut: [],
      });
      assert.deepEqual(differences, [], what);
      assert.equal((await target.run("select from p")).length, 29, what);
    }
  });
}
