/**
 * Restores under limits: what one part has planned is all that the others know, and none of them reads more
 * of the backup than it needs.
 *
 * @module
 */
import assert from "node:assert/strict";
import type {
  RestoreReport,
  RestoreRequest,
} from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { asRepository, type MemoryBackup } from "../support/memory_backup.ts";
import { PartsOfRestore } from "../support/parts_of_restore.ts";
import { differences, pgDump, statementsOf } from "../support/pg_dump.ts";
import { backupWithoutRoles, failure } from "../support/restore_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

/** What the server prints of a list over varchar it prints otherwise when that was run. */
const SAMPLE = `
  create function is_fine(name text) returns boolean language sql immutable as 'select true';
  do $$ begin for i in 1..16 loop
    execute format('create table t%s (id int generated always as identity primary key,
      kind varchar(9) check (kind in (''a'', ''b'')), other int references t%s, name text,
      check (is_fine(name)))', i, greatest(i - 1, 1));
    execute format('create index on t%s (name); comment on table t%1$s is ''number %1$s''', i);
    execute format('insert into t%s (kind, other, name) select ''a'', 1, ''n'' || n
      from generate_series(1, %1$s) n', i);
  end loop; end $$;
  create table parted (at date, what text) partition by range (at);
  create table parted_1 partition of parted for values from ('2026-01-01') to ('2026-07-01');
  create view seen as select * from t3;
  create materialized view counted as select count(*) as many from t16;
  alter table t5 enable row level security;
  create policy everything on t5 using (true);
  grant select on t5 to public`;

const LIMITS = { entries: 8, partBytes: 1 << 20, longBytes: 1 << 30 };
const CUT = { relationsAPart: 9, chunksAPart: 4, limits: LIMITS };

/** By part, in the order in which they were done: what each has read of the lists of the backup. */
type Reads = { name: string; payload: unknown; lists: string[] }[];

function hostedRestore(backup: MemoryBackup, url: string, request: RestoreRequest = {}) {
  let read: string[] = [];
  const repository = asRepository(backup, (list, from) => void read.push(`${list} ${from}`));
  const restore = new PartsOfRestore(backup, url, { ...CUT, repository, request });
  const reads: Reads = [];
  const workUntil = async (isStop = (_name: string) => false) => {
    while (restore.ready.length > 0 && !isStop(restore.ready[0]!.name)) {
      const part = restore.ready[0]!;
      read = [];
      await restore.work(part);
      reads.push({ name: part.name, payload: part.payload, lists: read });
    }
  };
  return { restore, reads, workUntil };
}

/** A live database with all that the backup has, and what became of it since. */
async function liveAfter(since: string) {
  const source = await temporaryDatabase("planned_source");
  await runSql(source.url, SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  await runSql(source.url, since);
  return { source, backup };
}

/** What is planned for it under limits, by parts and by one worker. */
async function plansOf(backup: MemoryBackup, url: string, request: RestoreRequest) {
  const dryRun = async (options: object) => {
    const own = { request: { ...request, dryRun: true }, maxWholeBytes: 0, ...options };
    const restore = new PartsOfRestore(backup, url, own);
    await restore.workUntil();
    return restore.report!.plan;
  };
  return { inParts: await dryRun(CUT), atOnce: await dryRun({}) };
}

Deno.test("very many objects are read once by several, planned once, and restored by workers that read only what is theirs", async () => {
  await using source = await temporaryDatabase("planned_source");
  await runSql(source.url, SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  await using target = await temporaryDatabase("planned_target");
  await using other = await temporaryDatabase("planned_at_once");
  const { restore, reads, workUntil } = hostedRestore(backup, target.url);
  await workUntil();

  // Planning comes twice: first it has the backup read, each chunk once, and then it reads nothing.
  const planning = reads.filter(({ name }) => name === "planning");
  assert.deepEqual(planning.map(({ lists }) => lists), [[], []]);
  const reading = reads.filter(({ name }) => name === "reading-backup");
  assert.ok(reading.length > 5);
  const chunks = reading.flatMap(({ lists }) => lists);
  assert.equal(new Set(chunks).size, chunks.length);
  assert.equal(chunks.length, chunksOf(backup));

  const later = reads.slice(reads.indexOf(planning[1]!) + 1);
  assert.ok(later.length > 25);
  for (const { name, payload, lists } of later) {
    // A few lines of each list, which may lie on both sides of a chunk's end; a slice is half of the tables.
    const most = name === "comparing-definitions" ? 0.7 * chunks.length : 6;
    assert.ok(lists.length <= most, `${name} ${JSON.stringify(payload)}: ${lists}`);
  }

  const report = restore.report!;
  assert.deepEqual(report.comparison?.differences, []);
  assert.equal(report.rowsLoaded, 136);
  const atOnce = new PartsOfRestore(backup, other.url, { limits: LIMITS });
  await atOnce.workUntil();
  assert.deepEqual(toldBy(report), toldBy(atOnce.report!));
  const dump = async (url: string, name: string) =>
    statementsOf(await pgDump(url, { major: 17 }), name);
  const expected = await dump(other.url, other.name);
  assert.equal(differences(expected, await dump(target.url, target.name)), "");
});

Deno.test("a comparison in slices names what is missing and what is otherwise", async () => {
  await using source = await temporaryDatabase("planned_source");
  await runSql(source.url, SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  await using target = await temporaryDatabase("planned_target");
  const { workUntil } = hostedRestore(backup, target.url);
  await workUntil((name) => name === "comparing-definitions");
  await runSql(
    target.url,
    "drop index t7_name_idx; comment on table t12 is 'another'; drop view seen",
  );
  const error = await failure(workUntil());
  assert.equal(error.code, "restore_mismatch");
  const found = error.details!.differences as { identity: string; what: string }[];
  assert.deepEqual(found.map(({ identity, what }) => `${what}: ${identity}`).sort(), [
    'missing: index INDEX "public"."t7_name_idx"',
    'missing: view VIEW "public"."seen"',
    'other comment: table TABLE "public"."t12"',
  ]);
});

Deno.test("a target of hardly a table and many functions is compared in slices, too", async () => {
  await using source = await temporaryDatabase("planned_source");
  await runSql(
    source.url,
    `create table alone (); do $$ begin for i in 1..20 loop execute
      format('create function f%s() returns int language sql as ''select 1''', i); end loop; end $$`,
  );
  const backup = await backupWithoutRoles(source.url);
  await using target = await temporaryDatabase("planned_target");
  const { workUntil, reads } = hostedRestore(backup, target.url);
  await workUntil((name) => name === "comparing-definitions");
  await runSql(target.url, "drop function f7(); alter function f12() stable");
  const error = await failure(workUntil());
  const found = error.details!.differences as { identity: string; what: string }[];
  assert.deepEqual(found.map(({ identity, what }) => `${what}: ${identity}`).sort(), [
    'missing: function FUNCTION "public"."f7"()',
    'other create: function FUNCTION "public"."f12"()',
  ]);
  const compared = reads.filter(({ name }) => name === "comparing-definitions");
  assert.ok(compared.length > 2, String(compared.length));
});

Deno.test("where the target has objects of the backup's names, the plan is made from all that the backup says", async () => {
  await using source = await temporaryDatabase("planned_source");
  await runSql(source.url, SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  await using target = await temporaryDatabase("planned_target");
  await runSql(target.url, "create table t1 (id int, own text)");
  const dryRun = async (options: object) => {
    const request = { mode: "over" as const, dryRun: true };
    const restore = new PartsOfRestore(backup, target.url, { request, ...options });
    await restore.workUntil();
    return restore.report!;
  };
  const plan = (await dryRun(CUT)).plan;
  assert.deepEqual(plan, (await dryRun({})).plan);
  const replaced = plan.hazards.find(({ name }) => name === "replaces-object");
  assert.deepEqual(replaced?.objects, ['table TABLE "public"."t1"']);
});

Deno.test("an emptied live database is planned from what parts have read of both sides, also where the server prints otherwise", async () => {
  const { source, backup } = await liveAfter(`
    truncate ${Array.from({ length: 15 }, (_, at) => `t${at + 1}`).join(", ")}, parted, t16 cascade;
    do $$ declare printed text; begin
      select pg_get_constraintdef(oid) into printed from pg_constraint where conname = 't9_kind_check';
      execute 'alter table t9 drop constraint t9_kind_check, add constraint t9_kind_check ' || printed;
    end $$;
    drop view seen; drop index t4_name_idx; drop table t11 cascade;
    create table newer (id int references t3); create index on t5 (other);
    create table parted_2 partition of parted for values from ('2027-01-01') to ('2027-07-01')`);
  await using _ = source;
  const { inParts, atOnce } = await plansOf(backup, source.url, {});
  assert.deepEqual(inParts, atOnce);
  assert.ok(inParts.rows > 0 && inParts.hazards.length === 0, JSON.stringify(inParts.hazards));

  const { restore, reads, workUntil } = hostedRestore(backup, source.url);
  await workUntil();
  const [, second] = reads.filter(({ name }) => name === "planning");
  assert.deepEqual(second!.lists, []);
  // Only what reads otherwise is read of the backup while the target is.
  const beside = reads.filter(({ name }) => name === "reading-target");
  assert.ok(beside.length > 1);
  const read = beside.flatMap(({ lists }) => lists);
  assert.ok(read.length > 0 && read.length < 6, String(read));
  const { comparison, rowsLoaded, safetyBackupId } = restore.report!;
  assert.deepEqual(comparison?.differences, []);
  assert.equal(safetyBackupId, null);
  assert.equal(rowsLoaded, 136);
});

Deno.test("lost tables are planned from what parts have read, and rows that stand are looked at in full", async () => {
  const { source, backup } = await liveAfter("truncate t16; drop table t7 cascade");
  await using _ = source;
  const request = { onlyLost: true, tables: ["public.t7", "public.t16", "public.t3"] };
  const { inParts, atOnce } = await plansOf(backup, source.url, request);
  assert.deepEqual(inParts, atOnce);
  const { restore, workUntil } = hostedRestore(backup, source.url, request);
  await workUntil();
  assert.equal(restore.report!.rowsLoaded, 7 + 16);
  assert.deepEqual(restore.report!.comparison?.differences, []);
});

Deno.test("what stands otherwise than in the backup is planned from all that the backup says", async () => {
  const { source, backup } = await liveAfter("truncate t16; comment on table t8 is 'another'");
  await using _ = source;
  const { inParts, atOnce } = await plansOf(backup, source.url, {});
  assert.deepEqual(inParts, atOnce);
  assert.ok(inParts.hazards.some(({ name }) => name === "replaces-data"));

  // When workers were lost over that, it is told what keeps it from being done in parts.
  const { restore, workUntil } = hostedRestore(backup, source.url);
  await workUntil((name) => name === "reading-target");
  await workUntil((name) => name === "planning");
  const lease = { ...restore.ready[0]!, attempt: 3, previous: "interrupted" as const };
  const error = await failure(restore.work(lease));
  assert.equal(error.code, "over_budget");
  assert.match(
    error.hint!,
    /Nothing was changed.* cannot be done because this is there: table TABLE "public"."t8"/,
  );
});

function chunksOf({ facts }: MemoryBackup): number {
  const lists = [facts.entries, facts.tableData, facts.dataParts];
  return lists.reduce((sum, { length }) => sum + Math.ceil(length / 7), 0);
}

/** What a report says, whoever found it out first. */
function toldBy({ plan, leftOut, comparison, rowsLoaded }: RestoreReport) {
  return { plan, leftOut, rowsLoaded, objects: comparison?.objects };
}
