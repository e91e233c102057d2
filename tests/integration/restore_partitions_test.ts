/**
 * Restores over a live partitioned table that lost partitions.
 *
 * @module
 */
import assert from "node:assert/strict";
import { scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, contentOf, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create schema app; set search_path = app;
  create table place (id int primary key);
  create table log (what text);
  create function note() returns trigger language plpgsql as
    $$begin insert into app.log values (new.id || ''); return new; end$$;
  create table event (id int, kind text, place int references place, primary key (id, kind))
    partition by list (kind);
  create index event_by_place on event (place);
  create trigger noted after insert on event for each row execute function note();
  create table event_a partition of event for values in ('a');
  create table event_b partition of event for values in ('b', 'c') partition by list (kind);
  create table event_b_b partition of event_b for values in ('b');
  create table event_b_c partition of event_b for values in ('c');
  create table seen (id int, kind text, foreign key (id, kind) references event);
  insert into place values (1);
  insert into event select n, chr(96 + n), 1 from generate_series(1, 3) n;
  insert into seen select id, kind from event`;

for (
  const [what, change] of Object.entries({
    "lost a partition": "drop table app.event_a cascade",
    "lost a partition of a partition": "drop table app.event_b_c cascade",
    "lost partitions on two levels": "drop table app.event_a, app.event_b_b cascade",
    "let one go": "alter table app.event detach partition app.event_b",
  })
) {
  Deno.test(`a partitioned table that ${what} is restored over, and its triggers keep still`, async () => {
    const server = await testServer(17);
    await using source = await scratchDatabase(server, "d_partitions_source");
    await using target = await scratchDatabase(server, "d_partitions_target");
    await source.run(SAMPLE);
    const backup = await backupWithoutRoles(source.url);
    const before = contentOf(backup);
    await restoreBackup(backup, target.url);
    await target.run(`alter table app.seen drop constraint seen_id_kind_fkey; ${change}`);
    await restoreBackup(backup, target.url);
    assert.deepEqual(contentOf(await backupWithoutRoles(target.url)), before);
  });
}
