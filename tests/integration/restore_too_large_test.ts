/**
 * Units of a restore that no worker has room for: worker after worker is ended at them, and yet they are done,
 * everything in them once; or, where one stored part is too much, the restore ends and says the way out.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { backupInRanges } from "../support/backup_in_ranges.ts";
import { databaseState } from "../support/database_state.ts";
import { restoreByEnded } from "../support/ended_workers.ts";
import { LARGE_LIMITS, Mortal, PartsOfRestore, sleeper } from "../support/parts_of_restore.ts";
import { restoreBackup } from "../support/restore_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

/** Without keys: what is loaded twice is there twice. */
const SAMPLE = `
  create table notes (id int, body text);
  insert into notes select i, md5(i::text) from generate_series(1, 500) i;
  create table owners (id int, name text);
  insert into owners select i, 'o' || i from generate_series(1, 20) i;
  create table things (id int, note text);
  insert into things select i, 't' || i from generate_series(1, 30) i`;

/** Rows of all tables: notes has five stored parts, each other table one. */
const PARTS = 7;
const ROWS = 550;

async function sample(sql = SAMPLE) {
  const source = await temporaryDatabase("large_source");
  const target = await temporaryDatabase("large_target");
  await runSql(source.url, sql);
  const backup = await backupInRanges(source.url, "notes");
  return {
    ...{ source, target, backup },
    expectRestored: async () =>
      assert.deepEqual(await databaseState(target.url), await databaseState(source.url)),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

const isCopy = (sql: string) => /^(BEGIN; )?COPY /.test(sql);
const isLoading = ({ name }: { name: string }) => name === "loading-rows";

/** Workers with room for so many statements of a kind. */
function roomFor(most: number, weigh: (sql: string) => number): () => (sql: string) => boolean {
  return () => {
    let weight = 0;
    return (sql) => (weight += weigh(sql)) > most;
  };
}

for (const keptIn of ["memory", "tables"] as const) {
  Deno.test(`a unit of rows of which each worker has room for one stored part is loaded, every row once: a job in ${keptIn}`, async () => {
    await using it = await sample();
    const room = roomFor(1, (sql) => isCopy(sql) ? 1 : 0);
    const { job, ended } = await restoreByEnded(it.backup, it.target.url, { room, keptIn });
    assert.deepEqual([job.status, job.error], ["completed", null]);
    assert.equal(job.result?.rowsLoaded, ROWS);
    await it.expectRestored();
    // Two find the unit too large, and each that follows loads a part before it is ended at the next.
    assert.deepEqual(ended, Array.from({ length: 2 + PARTS - 1 }, () => "loading-rows"));
  });
}

Deno.test("definitions of which each worker has room for one are made in their order, each once", async () => {
  await using it = await sample(`
    create type mood as enum ('good', 'bad');
    create function is_good(it mood) returns boolean language sql immutable as $$ select it = 'good' $$;
    create table notes (id int, mood mood, check (is_good(mood)));
    create view seen as select id, is_good(mood) as fine from notes;
    create view seen_again as select * from seen where fine;
    insert into notes values (1, 'good')`);
  const makes = (sql: string) => sql.match(/\bCREATE (TYPE|TABLE|VIEW|FUNCTION) /g)?.length ?? 0;
  const room = roomFor(1, makes);
  const { job, ended } = await restoreByEnded(it.backup, it.target.url, { room });
  assert.deepEqual([job.status, job.error], ["completed", null]);
  await it.expectRestored();
  assert.deepEqual(new Set(ended), new Set(["restoring-definitions"]));
  assert.equal(ended.length, 2 + 5 - 1);
});

/** What reacts to everything else, and is therefore made after it: both stand in one unit. */
const LAST = `
  create table notes (id int);
  insert into notes select generate_series(1, 50);
  create function seen() returns event_trigger language plpgsql as 'begin end';
  create event trigger watching on ddl_command_end execute function seen();
  alter default privileges in schema public grant select on tables to public;
  alter default privileges in schema public grant usage on sequences to public`;

Deno.test("default privileges are made, too, where event triggers beside them are done piece by piece", async () => {
  await using it = await sample(LAST);
  const makes = (sql: string) =>
    sql.match(/CREATE EVENT TRIGGER|ALTER DEFAULT PRIVILEGES/g)?.length;
  const room = roomFor(1, (sql) => makes(sql) ?? 0);
  const { job, ended } = await restoreByEnded(it.backup, it.target.url, { room });
  assert.deepEqual([job.status, job.error], ["completed", null]);
  await it.expectRestored();
  assert.deepEqual(ended, Array.from({ length: 2 + 3 - 1 }, () => "restoring-event-triggers"));
});

Deno.test("an event trigger that fails takes no default privileges with it", async () => {
  await using it = await sample(LAST);
  const entries = it.backup.facts.entries.map((entry) =>
    entry.kind === "event-trigger"
      ? { ...entry, statements: { ...entry.statements, create: ["SELECT 1 / 0"] } }
      : entry
  );
  const backup = { ...it.backup, facts: { ...it.backup.facts, entries } };
  const { job } = await restoreByEnded(backup, it.target.url, {});
  assert.equal(job.error?.code, "restore_mismatch");
  const { failed, differences } = job.error.details as {
    failed: { identity: string }[];
    differences: unknown[];
  };
  const identities = failed.map(({ identity }) => identity);
  assert.deepEqual([identities, differences], [['event-trigger EVENT TRIGGER "watching"'], []]);
  const grants = "select defaclobjtype, defaclacl::text from pg_default_acl order by 1";
  assert.deepEqual(await rowsOf(it.target.url, grants), await rowsOf(it.source.url, grants));
});

Deno.test("what fails in a unit that is too large is told once, tried once alone, and the rest is loaded", async () => {
  await using it = await sample(`${SAMPLE};
    create function is_fine(id int) returns boolean language sql as 'select true';
    alter table owners add check (is_fine(id))`);
  const entries = it.backup.facts.entries.map((entry) =>
    entry.name === "is_fine"
      ? {
        ...entry,
        statements: {
          ...entry.statements,
          create: entry.statements.create.map((each) => each.replace("true", "1 / 0 = 0")),
        },
      }
      : entry
  );
  const backup = { ...it.backup, facts: { ...it.backup.facts, entries } };
  const tries: string[] = [];
  const room = roomFor(1, (sql) => isCopy(sql) ? tries.push(sql) && 1 : 0);
  const { job } = await restoreByEnded(backup, it.target.url, { room });
  assert.equal(job.error?.code, "restore_mismatch");
  assert.match(job.error.message, /1 failed: .*owners.*: division by zero/);
  const session = await connect({ url: it.target.url });
  const rows = await session.query(
    "select (select count(*)::int from notes) as n, (select count(*)::int from things) as t",
  ).finally(() => session.close());
  assert.deepEqual(rows, [{ n: 500, t: 30 }]);
  const ofOwners = tries.filter((sql) => sql.includes("owners"));
  // One was ended before it, and the next tried it.
  assert.equal(ofOwners.length, 2);
});

// The first part of the unit, and one in its middle.
for (const [table, keptIn] of [["notes", "memory"], ["owners", "tables"]] as const) {
  Deno.test(`a stored part of ${table} that no worker has room for ends the restore, which says the way out: a job in ${keptIn}`, async () => {
    await using it = await sample();
    const commandLine = "deno task restore --backup it";
    const room = roomFor(0, (sql) => isCopy(sql) && sql.includes(table) ? 1 : 0);
    const { job, ended } = await restoreByEnded(it.backup, it.target.url, {
      ...{ room, keptIn, commandLine: `${commandLine} --mode empty` },
      request: { mode: "empty" },
    });
    assert.equal(job.status, "failed");
    assert.equal(job.error?.code, "over_budget");
    assert.match(
      job.error.message,
      new RegExp(
        `^Cannot go on with loading rows at .*${table}.*: ` +
          "it was tried 5 times, and the last worker was ended before it was done$",
      ),
    );
    assert.equal(
      job.error.hint,
      "What was restored stays. Restore over it on any computer, which replaces what differs: " +
        commandLine,
    );
    // Two find the unit too large; what comes before that part is loaded; five try it.
    assert.deepEqual(ended, Array.from({ length: 2 + 5 }, () => "loading-rows"));
    // What the hint names.
    await restoreBackup(it.backup, it.target.url, { mode: "over" });
    await it.expectRestored();
  });
}

Deno.test("statistics of more tables than a worker has room for are taken of fewer, or left out at last", async () => {
  await using it = await sample();
  const tablesOf = (sql: string) => /^ANALYZE (.*)$/.exec(sql)?.[1]?.split(", ") ?? [];
  const room = () => (sql: string) =>
    tablesOf(sql).length > 1 || tablesOf(sql).some((name) => name.includes("owners"));
  const { job, ended } = await restoreByEnded(it.backup, it.target.url, { room });
  assert.deepEqual([job.status, job.error], ["completed", null]);
  const leftOut = job.result!.leftOut as { identity: string; reason: string }[];
  assert.deepEqual(leftOut, [{
    identity: "statistics for the planner",
    reason:
      'of "public"."owners": it was tried 5 times, and the last worker was ended before it was done; ' +
      "run ANALYZE",
  }]);
  assert.deepEqual(new Set(ended), new Set(["analyzing-tables"]));
  const session = await connect({ url: it.target.url });
  const analyzed = await session.query(
    `select relname as name from pg_class where relkind = 'r' and reltuples > 0
        and relnamespace = 'public'::regnamespace order by 1`,
  ).finally(() => session.close());
  assert.deepEqual(analyzed, [{ name: "notes" }, { name: "things" }]);
});

Deno.test("a worker that has to leave while it takes statistics leaves none out, and the next one takes them", async () => {
  await using it = await sample();
  const restore = new PartsOfRestore(it.backup, it.target.url, { limits: LARGE_LIMITS });
  await restore.workUntil(({ name }) => name === "comparing-definitions");
  const analyzing = restore.ready.find(({ name }) => name === "analyzing-tables")!;
  const leave = new AbortController();
  const { mortal, asleep, wake } = sleeper(it.target.url, (sql) => sql.startsWith("ANALYZE"));
  const definition = restore.define(mortal);
  const left = restore.work(analyzing, { definition, signal: leave.signal });
  await asleep;
  leave.abort(new Error("the worker ends"));
  wake();
  await assert.rejects(left, /the worker ends/);
  await restore.workUntil();
  assert.deepEqual(restore.report?.leftOut, []);
});

/** The part of a unit at which two workers were ended, as the third one adds it: by pieces. */
async function inPieces(restore: PartsOfRestore, part: PartsOfRestore["ready"][number]) {
  Object.assign(part, { attempt: 3, previous: "interrupted" });
  await restore.work(part);
  return restore.ready.find(isLoading)!;
}

Deno.test("a piece has tries of its own, also when nobody could tell of the pieces before it", async () => {
  await using it = await sample();
  const restore = new PartsOfRestore(it.backup, it.target.url, { limits: LARGE_LIMITS });
  const whole = (await restore.workUntil(isLoading))!;
  const part = await inPieces(restore, whole);
  await restore.work({ ...part }, { record: false });
  Object.assign(part, { attempt: 6, previous: "interrupted" });
  const { split } = await restore.work(part);
  assert.equal(split?.length, 1, "what is left was given back");
  await restore.workUntil();
  assert.equal(restore.report?.rowsLoaded, ROWS);
  await it.expectRestored();
});

Deno.test("tries of a whole unit, however they ended, are none of its first piece", async () => {
  await using it = await sample();
  const restore = new PartsOfRestore(it.backup, it.target.url, { limits: LARGE_LIMITS });
  const part = (await restore.workUntil(isLoading))!;
  // Five found no storage, and the sixth was ended.
  Object.assign(part, { attempt: 7, previous: "interrupted" });
  await restore.workUntil();
  assert.equal(restore.report?.rowsLoaded, ROWS);
  await it.expectRestored();
});

Deno.test("what is left of a unit in which an object failed is done by one worker when a connection was lost", async () => {
  await using it = await sample();
  const restore = new PartsOfRestore(it.backup, it.target.url, { limits: LARGE_LIMITS });
  const part = (await restore.workUntil(isLoading))!;
  const session = await connect({ url: it.target.url });
  await session.execute("alter table owners add check (id < 5)").finally(() => session.close());
  let marks = 0;
  const mortal = new Mortal(it.target.url, {
    at: (sql) => /restore_marks.*COMMIT$/s.test(sql) && ++marks === 3,
    how: "after",
  });
  const lost = restore.work(part, { definition: restore.define(mortal), record: false });
  await assert.rejects(lost, { name: "Killed" });
  const { result } = await restore.work(part);
  const { rows, failed } = result as { rows: number; failed: { identity: string }[] };
  assert.equal(rows, ROWS - 20);
  assert.match(failed.map(({ identity }) => identity).join(), /^table-data .*"owners"$/);
});

Deno.test("a worker whose server commits the whole unit late has done it, and the pieces are not done again", async () => {
  await using it = await sample();
  const restore = new PartsOfRestore(it.backup, it.target.url, { limits: LARGE_LIMITS });
  const whole = (await restore.workUntil(isLoading))!;
  const { mortal, asleep, wake } = sleeper(
    it.target.url,
    (sql) => /restore_marks.*COMMIT$/s.test(sql),
  );
  const late = restore.work(whole, { definition: restore.define(mortal), record: false });
  await asleep;
  const part = await inPieces(restore, whole);
  let copies = 0;
  const watch = new Mortal(it.target.url, {
    at: (sql) => {
      if (isCopy(sql)) copies++;
      return false;
    },
    how: "before",
  });
  const next = restore.work(part, { definition: restore.define(watch) });
  await untilLocked(it.target.url);
  wake();
  await late;
  const { result } = await next;
  assert.equal((result as { rows: number }).rows, ROWS);
  assert.equal(copies, 0);
  await restore.workUntil();
  assert.equal(restore.report?.rowsLoaded, ROWS);
  await it.expectRestored();
});

Deno.test("a worker that begins the whole unit late, when a piece of it is done, does not load that again", async () => {
  await using it = await sample();
  const restore = new PartsOfRestore(it.backup, it.target.url, { limits: LARGE_LIMITS });
  const whole = (await restore.workUntil(isLoading))!;
  const { mortal, asleep, wake } = sleeper(it.target.url, (sql) => sql === "BEGIN");
  const late = restore.work(whole, { definition: restore.define(mortal), record: false });
  await asleep;
  const part = await inPieces(restore, whole);
  const { split } = await restore.work(part);
  assert.equal(split?.length, 1, "a piece was done, and the rest is left");
  wake();
  await late;
  await restore.workUntil();
  assert.equal(restore.report?.rowsLoaded, ROWS);
  await it.expectRestored();
});

Deno.test("a worker that is about to do the first piece while another does the whole unit loads nothing", async () => {
  await using it = await sample();
  const restore = new PartsOfRestore(it.backup, it.target.url, { limits: LARGE_LIMITS });
  const whole = (await restore.workUntil(isLoading))!;
  const unsplit = { ...whole };
  const part = await inPieces(restore, whole);
  let begun = 0;
  // It looks for marks, and there are none; then it begins the piece.
  const { mortal, asleep, wake } = sleeper(
    it.target.url,
    (sql) => sql === "BEGIN" && ++begun === 2,
  );
  const definition = restore.define(mortal);
  const late = restore.work(part, { definition });
  await asleep;
  const { result } = await restore.work(unsplit, { record: false });
  wake();
  assert.deepEqual((await late).result, result);
  await restore.workUntil();
  assert.equal(restore.report?.rowsLoaded, ROWS);
  await it.expectRestored();
});

/** Waits until somebody waits for a lock of a unit's marks; the pause is the server's. */
async function untilLocked(url: string): Promise<void> {
  const session = await connect({ url });
  const waiting = `select exists (select from pg_locks where locktype = 'advisory' and not granted
    and database = (select oid from pg_database where datname = current_database())) as yes, pg_sleep(0.01)`;
  while (!(await session.query(waiting))[0]?.yes);
  await session.close();
}

async function rowsOf(url: string, query: string): Promise<Record<string, unknown>[]> {
  const session = await connect({ url });
  return await session.query(query).finally(() => session.close());
}
