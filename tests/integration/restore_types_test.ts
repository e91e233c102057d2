/**
 * Restores over a database whose types' own functions changed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, contentOf, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create schema app; set search_path = app; set client_min_messages = error;
  create type num;
  create function num_in(cstring) returns num language internal strict immutable as 'int4in';
  create function num_out(num) returns cstring language internal strict immutable as 'int4out';
  create type num (input = num_in, output = num_out, internallength = 4, passedbyvalue,
    alignment = int4);
  create type span;
  create function span_in_order(span) returns span language internal strict immutable
    as 'int4range_canonical';
  create type span as range (subtype = int4, canonical = span_in_order);
  create table t (n num, s span);
  create function same(num) returns num language sql as 'select $1';
  insert into t values ('5', '[1,3]'), ('6', 'empty')`;

for (
  const change of [
    "alter function app.num_in(cstring) cost 7",
    "alter function app.num_out(app.num) cost 7",
    "drop function app.num_out(app.num) cascade",
    "alter function app.span_in_order(app.span) cost 7",
  ]
) {
  Deno.test(`a type is made again with all of its functions after ${change}`, async () => {
    const server = await testServer(17);
    await using source = await scratchDatabase(server, "d_types_source");
    await using target = await scratchDatabase(server, "d_types_target");
    await source.run(SAMPLE);
    const backup = await backupWithoutRoles(source.url);
    const before = contentOf(backup);
    await restoreBackup(backup, target.url);
    await target.run(change);
    assert.notDeepEqual(contentOf(await backupWithoutRoles(target.url)), before);
    await restoreBackup(backup, target.url);
    assert.deepEqual(contentOf(await backupWithoutRoles(target.url)), before);
  });
}
