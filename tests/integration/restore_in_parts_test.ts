/**
 * Restores into an empty database that many workers share: each part is done by one that knows nothing
 * of the others, and some of them die. Longer than usual: all its tests share one source and one way to work on it.
 *
 * `RESTORE_KILLS` is the number of random deaths, 40 when absent; `RESTORE_SEED` repeats a run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { readRestoreTraces } from "../../supabase/functions/backup/postgres/restore_traces.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import { RestoreSessions } from "../../supabase/functions/backup/usecases/restore/restore_sessions.ts";
import { databaseState } from "../support/database_state.ts";
import type { MemoryBackup } from "../support/memory_backup.ts";
import {
  type Death,
  Killed,
  LARGE_LIMITS,
  Mortal,
  PartsOfRestore,
  TINY_LIMITS,
} from "../support/parts_of_restore.ts";
import { differences, pgDump, statementsOf } from "../support/pg_dump.ts";
import { randomFrom } from "../support/random_from.ts";
import { backupWithoutRoles, failure } from "../support/restore_backup.ts";
import {
  runSql,
  type TemporaryDatabase,
  temporaryDatabase,
} from "../support/temporary_database.ts";

const KILLS = Number(Deno.env.get("RESTORE_KILLS") ?? 40);
const SEED = Number(Deno.env.get("RESTORE_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);

/** Whoever evaluates `gate(n, …)` waits while the test holds gate n: 1 in COPY, 2 in CREATE INDEX. */
const SAMPLE = `
  create function public.gate(number int, value int) returns int language plpgsql immutable as
    $$ begin perform pg_advisory_xact_lock_shared(7003, number); return value; end $$;
  create type mood as enum ('good', 'bad');
  create table owners (id int primary key, name text unique);
  create table things (id int generated always as identity primary key, owner int references owners,
                       note text, mood mood default 'good', check (public.gate(1, id) > 0));
  create index things_note on things (note);
  create index things_gated on things (public.gate(2, id));
  comment on index things_note is 'by note';
  create table events (at date, what text) partition by range (at);
  create table events_1 partition of events for values from ('2026-01-01') to ('2026-07-01');
  create table events_2 partition of events default;
  create index events_what on events (what);
  create view seen as select t.id, o.name from things t join owners o on o.id = t.owner;
  create materialized view counted as select count(*) as many from seen;
  create unique index counted_many on counted (many);
  create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
  create trigger touched before update on things for each row execute function touch();
  alter table things enable row level security;
  create policy all_of_them on things using (true);
  grant select on things to public;
  insert into owners select i, 'o' || i from generate_series(1, 20) i;
  insert into things (owner, note) select 1 + i % 20, repeat(md5(i::text), 4)
    from generate_series(1, 300) i;
  insert into events select date '2026-06-01' + i, 'e' || i from generate_series(1, 60) i;
  select lo_from_bytea(0, 'large'::bytea);
  refresh materialized view counted`;

/** The statement by which rows get their mark and are committed. */
const isCommitOfRows = (sql: string) => /restore_marks.*COMMIT$/s.test(sql);

const opened = async (url: string) => {
  const session = await connect({ url });
  return Object.assign(session, { [Symbol.asyncDispose]: () => session.close() });
};

async function sample(sql = SAMPLE): Promise<{ source: TemporaryDatabase; backup: MemoryBackup }> {
  const source = await temporaryDatabase("parts_source");
  await runSql(source.url, sql);
  return { source, backup: await backupWithoutRoles(source.url) };
}

/** Nothing of the restore itself is left; of one that is not complete its trace is. */
async function expectTidy(url: string, jobId: string, { isComplete = true } = {}): Promise<void> {
  await using session = await opened(url);
  const traces = await readRestoreTraces((sql) => session.query(sql));
  assert.deepEqual(traces.map((trace) => trace.jobId), isComplete ? [] : [jobId]);
  const [left] = await session.query(
    `select to_regnamespace('backup_internal') is null as tidy, exists (
       select from pg_stat_activity where application_name = 'backup ${jobId}'
          and state <> 'idle') as busy`,
  );
  assert.deepEqual(left, { tidy: isComplete, busy: false });
  if (isComplete) return;
  const marks = await session.query("select name from backup_internal.restore_marks");
  assert.deepEqual(marks.filter(({ name }) => /^planned|^\d+\//.test(name)), []);
}

/** Waits until a backend stands at a gate; the pause is the server's. */
async function waitAtGate(session: Session): Promise<void> {
  for (;;) {
    const [row] = await session.query(
      `select exists (select from pg_locks where locktype = 'advisory' and not granted
          and classid = 7003) as yes, pg_sleep(0.01)`,
    );
    if (row?.yes) return;
  }
}

Deno.test("a restore whose parts are each done by a new worker gives what the backup holds", async () => {
  const { source, backup } = await sample();
  await using _source = source;
  await using target = await temporaryDatabase("parts_target");
  const restore = new PartsOfRestore(backup, target.url);
  await restore.workUntil();
  assert.equal(restore.report?.rowsLoaded, 381);
  assert.deepEqual(restore.report.comparison?.differences, []);
  const dump = async (url: string, name: string) =>
    statementsOf(await pgDump(url, { major: 17 }), name);
  assert.equal(
    differences(await dump(source.url, source.name), await dump(target.url, target.name)),
    "",
  );
  await expectTidy(target.url, restore.jobId);
});

Deno.test("a restore over a live database is one transaction where it fits, else refused with the command", async () => {
  const { source, backup } = await sample();
  await using _source = source;
  await using target = await temporaryDatabase("parts_target");
  await runSql(target.url, "create table owners (id int primary key); create table own (id int)");
  const before = await databaseState(target.url);
  const request = {
    mode: "over" as const,
    skipSafetyBackup: true,
    acceptHazards: ["no-safety-backup", "replaced-rows", "unknown-objects"],
  };
  const commandLine = "deno task restore --backup it";
  const refuse = async (maxWholeBytes: number) => {
    const options = { request, commandLine, maxWholeBytes };
    return await failure(new PartsOfRestore(backup, target.url, options).workUntil());
  };
  const bytes = (await refuse(1)).details!.bytes as number;
  const error = await refuse(bytes - 1);
  assert.equal(error.code, "over_budget");
  assert.match(
    error.hint ?? "",
    /^Nothing was changed\. Run it on any computer: deno task restore --backup it\. /,
  );
  assert.deepEqual(await databaseState(target.url), before);

  const fits = new PartsOfRestore(backup, target.url, {
    ...{ request, commandLine, maxWholeBytes: bytes },
  });
  const whole = (await fits.workUntil(({ name }) => name === "restoring-at-once"))!;
  assert.deepEqual(fits.ready.map(({ name }) => name), [whole.name]);
  assert.deepEqual(await databaseState(target.url), before);
  await fits.workUntil();
  assert.equal(fits.report?.rowsLoaded, 381);
  await expectTidy(target.url, fits.jobId);
});

Deno.test("a schema that a live database lacks is made in parts when one transaction would be too long", async () => {
  const { source, backup } = await sample(`
    create schema shop; set search_path = shop;
    create table shelves (id int generated always as identity primary key, name text unique);
    create table goods (id serial primary key, shelf int references shelves, body text);
    create index on goods (body);
    create function total() returns bigint language sql as 'select count(*) from shop.goods';
    create materialized view counted as select shelf, count(*) as many from goods group by shelf;
    insert into shelves (name) select 's' || i from generate_series(1, 30) i;
    insert into goods (shelf, body) select 1 + i % 30, md5(i::text) from generate_series(1, 500) i;
    refresh materialized view counted;
    create table public.other (id int)`);
  await using _source = source;
  await using target = await temporaryDatabase("parts_target");
  await runSql(
    target.url,
    `create table kept (id int primary key); insert into kept values (1), (2);
     create schema backup_internal; create table backup_internal.kept_too (id int);
     alter default privileges in schema public grant select on tables to public`,
  );
  const before = await databaseState(target.url);
  const request = { schemas: ["shop"], lockTimeoutMs: 5000 };
  const restore = new PartsOfRestore(backup, target.url, { request, maxWholeBytes: 1 });
  let deaths = 0;
  while (await restore.workUntil(({ name }) => name === "loading-rows") !== null) {
    const part = restore.ready[0]!;
    const mortal = new Mortal(target.url, { at: isCommitOfRows, how: "after" });
    await assert.rejects(restore.work(part, { definition: restore.define(mortal) }), Killed);
    deaths++;
    await restore.work(part);
  }
  assert.ok(deaths > 0);
  assert.deepEqual(restore.report?.comparison?.differences, []);
  assert.equal(restore.report.rowsLoaded, 530);
  const { shop, ...rest } = await databaseState(target.url);
  assert.deepEqual(shop, (await databaseState(source.url)).shop);
  assert.deepEqual(rest, before);

  // Now it would replace what is there, which only one transaction may.
  await runSql(target.url, "update shop.goods set body = 'changed'");
  const again = new PartsOfRestore(backup, target.url, { request, maxWholeBytes: 1 });
  assert.equal((await failure(again.workUntil())).code, "over_budget");
});

for (
  const [when, how] of [
    ["after COPY, before the mark", "before"],
    ["after COMMIT, before it could tell", "after"],
  ] as const
) {
  Deno.test(`a worker that dies ${when} has loaded nothing twice and nothing never`, async () => {
    const { source, backup } = await sample();
    await using _source = source;
    await using target = await temporaryDatabase("parts_target");
    const restore = new PartsOfRestore(backup, target.url);
    let deaths = 0;
    while (await restore.workUntil(({ name }) => name === "loading-rows") !== null) {
      const part = restore.ready[0]!;
      const mortal = new Mortal(target.url, { at: isCommitOfRows, how });
      await assert.rejects(restore.work(part, { definition: restore.define(mortal) }), Killed);
      deaths++;
      await restore.work(part);
    }
    assert.ok(deaths > 0);
    assert.equal(restore.report?.rowsLoaded, 381);
    assert.deepEqual(await databaseState(target.url), await databaseState(source.url));
  });
}

Deno.test("a server that crashes in the middle of a restore has every row once when it is done", async () => {
  const { source, backup } = await sample();
  await using _source = source;
  await using server = await startPostgres({ major: 17, settings: { synchronous_commit: "on" } });
  await runSql(server.url(), "create database target");
  // Few parts, whose long statements are handed to the server.
  const limits = { entries: 200, partBytes: 1 << 20, longBytes: 1 };
  const restore = new PartsOfRestore(backup, server.url("target"), { limits });
  const crash = async () => {
    await server.stop("immediate");
    await server.start();
  };
  // Whether the commit came through is for the next worker to find out; what was handed over is gone.
  const crashes: [string, (sql: string) => boolean][] = [
    ["loading-rows", isCommitOfRows],
    ["building-indexes", (sql) => sql.startsWith("DO")],
  ];
  for (const [name, at] of crashes) {
    const part = (await restore.workUntil((each) => each.name === name))!;
    const mortal = new Mortal(restore.url, { at, how: "during", wait: crash });
    await assert.rejects(restore.work(part, { definition: restore.define(mortal) }), Killed);
  }
  await restore.workUntil();
  assert.equal(restore.report?.rowsLoaded, 381);
  assert.deepEqual(await databaseState(restore.url), await databaseState(source.url));
  await expectTidy(restore.url, restore.jobId);

  // What is told as done was on the disk before.
  const connectTo = () => connect({ url: restore.url });
  const sessions = new RestoreSessions({ jobId: "restore_x", connect: connectTo, request: {} });
  const role = { name: "postgres", superuser: true, createRole: true, replicaMode: true };
  const session = await sessions.openPrepared({ role });
  assert.deepEqual(await session.query("show synchronous_commit"), [{ synchronous_commit: "on" }]);
  await session.close();
});

Deno.test("a worker that dies in CREATE INDEX leaves it to the server, and the next one waits for it", async () => {
  const { source, backup } = await sample();
  await using _source = source;
  await using target = await temporaryDatabase("parts_target");
  const restore = new PartsOfRestore(backup, target.url);
  await using holder = await opened(target.url);
  const building = "select count(*)::int as n from pg_stat_activity " +
    `where application_name = 'backup ${restore.jobId}' and state = 'active' and query ~ 'things_gated'`;
  await holder.execute("select pg_advisory_lock(7003, 2)");
  const death: Death = {
    at: (sql) => sql.startsWith("DO") && sql.includes("things_gated"),
    how: "during",
    wait: () => waitAtGate(holder),
  };
  let deaths = 0;
  while (await restore.workUntil(({ name }) => name === "building-indexes") !== null) {
    const part = restore.ready[0]!;
    const mortal = new Mortal(target.url, death);
    try {
      await restore.work(part, { definition: restore.define(mortal) });
      continue;
    } catch (error) {
      assert.ok(error instanceof Killed, String(error));
    }
    deaths++;
    assert.deepEqual(await holder.query(building), [{ n: 1 }], "the server goes on");
    let looks = 0;
    const looked = Promise.withResolvers<void>();
    const watched = new Mortal(target.url, {
      at: (sql) => {
        if (/from backup_internal.restore_marks where/.test(sql) && ++looks === 3) looked.resolve();
        return false;
      },
      how: "before",
    });
    const next = restore.work(part, { definition: restore.define(watched) });
    await Promise.race([looked.promise, next]);
    assert.deepEqual(await holder.query(building), [{ n: 1 }], "nobody builds it a second time");
    await holder.execute("select pg_advisory_unlock(7003, 2)");
    await next;
  }
  assert.equal(deaths, 1);
  assert.deepEqual(await databaseState(target.url), await databaseState(source.url));
  await expectTidy(target.url, restore.jobId);
});

Deno.test("what fails is named, what needs it is left out in whatever part, and the rest is there", async () => {
  const { source, backup } = await sample();
  await using _source = source;
  await using target = await temporaryDatabase("parts_target");
  const entries = backup.facts.entries.map((entry) =>
    entry.kind === "table" && entry.name === "owners"
      ? { ...entry, statements: { ...entry.statements, create: ["select 1/0"] } }
      : entry
  );
  const restore = new PartsOfRestore(
    { ...backup, facts: { ...backup.facts, entries } },
    target.url,
  );
  const error = await failure(restore.workUntil());
  assert.equal(error.code, "restore_mismatch");
  assert.match(error.message, /1 failed: table TABLE "?public"?\."?owners"?: division by zero/);
  const skipped = (error.details!.skipped as { identity: string }[]).map(({ identity }) =>
    identity
  );
  for (const name of ["owners_pkey", "things_owner_fkey", "seen", "counted", "counted_many"]) {
    assert.ok(skipped.some((identity) => identity.includes(name)), `${name}: ${skipped}`);
  }
  await using session = await opened(target.url);
  assert.deepEqual(
    await session.query(
      "select (select count(*) from things)::int as things, " +
        "(select count(*) from events)::int as events, to_regclass('things_gated') is not null as i",
    ),
    [{ things: 300, events: 60, i: true }],
  );
  await restore.define().end!("failed", restore);
  await expectTidy(target.url, restore.jobId, { isComplete: false });
});

Deno.test("a full disk and a lock that is not granted end the restore by name, not as done", async () => {
  const { source, backup } = await sample();
  await using _source = source;
  await using target = await temporaryDatabase("parts_target");
  await using holder = await opened(target.url);
  await holder.execute("select pg_advisory_lock(7003, 1)");
  const restore = new PartsOfRestore(backup, target.url, { request: { lockTimeoutMs: 30 } });
  const part = (await restore.workUntil(({ name }) => name === "loading-rows"))!;
  const locked = async () => {
    for (const each of [...restore.ready]) {
      const error = await restore.work(each).then(() => null, (thrown) => thrown);
      if (error !== null) return error;
    }
  };
  assert.equal((await locked())?.code, "lock_timeout");
  await runSql(
    target.url,
    `create or replace function public.gate(number int, value int) returns int language plpgsql
       immutable as $$ begin
       raise exception using errcode = '53100', message = 'no space left on device'; end $$`,
  );
  const full = await locked();
  assert.match(full?.message, /no space left on device/);
  assert.equal(part.name, "loading-rows");
  await restore.define().end!("failed", restore);
  await expectTidy(target.url, restore.jobId, { isComplete: false });
});

Deno.test("a restore that is cancelled ends what the server does for it, and its memberships", async () => {
  const role = `parts_owner_${crypto.randomUUID().slice(0, 8)}`;
  const restorer = `${role}_restorer`;
  await using target = await temporaryDatabase("parts_target");
  await runSql(
    target.url,
    `create role ${role}; create role ${restorer} login nosuperuser createrole;
     alter database ${target.name} owner to ${restorer};
     grant ${role} to ${restorer} with admin true, inherit false, set false`,
  );
  const { source, backup } = await sample(`${SAMPLE}; alter table things owner to ${role}`);
  await using _source = source;
  await using holder = await opened(target.url);
  try {
    const url = new URL(target.url);
    url.username = restorer;
    await holder.execute("select pg_advisory_lock(7003, 2)");
    const memberships = () =>
      holder.query(`select roleid::regrole::text as role from pg_auth_members
        where member = '${restorer}'::regrole and grantor = '${restorer}'::regrole`);
    // So long that only a cancel ends what waits at the gate.
    const request = { lockTimeoutMs: 3_600_000 };
    const restore = new PartsOfRestore(backup, url.href, { request });
    const stop = new AbortController();

    const running = runInProcess(restore.define(), {
      job: {
        ...{ jobId: restore.jobId, kind: "restore", type: "database", backupId: null },
        ...{ reason: null, createdBy: "test" },
      },
      ...{ clock: systemClock, concurrency: 2, signal: stop.signal },
    });
    await Promise.race([waitAtGate(holder), running]);
    const lent = await memberships();
    stop.abort();
    assert.equal((await failure(running)).code, "cancelled");
    assert.deepEqual([lent.length > 0, await memberships()], [true, []]);
    await expectTidy(target.url, restore.jobId, { isComplete: false });

    await holder.execute("select pg_advisory_unlock(7003, 2)");
    await using again = await temporaryDatabase("parts_target");
    await runSql(again.url, `alter database ${again.name} owner to ${restorer}`);
    url.pathname = `/${again.name}`;
    const second = new PartsOfRestore(backup, url.href);
    await second.workUntil();
    assert.deepEqual(second.report?.comparison?.differences, []);
    assert.deepEqual(await memberships(), []);
  } finally {
    for (const { url } of [source, target]) {
      await runSql(
        url,
        `reassign owned by ${role}, ${restorer} to current_user; drop owned by ${role}, ${restorer}`,
      );
    }
    await runSql(target.url, `drop role ${restorer}; drop role ${role}`);
  }
});

Deno.test(`random deaths: every restore ends complete, seed ${SEED}`, async () => {
  const random = randomFrom(SEED);
  const { source, backup } = await sample();
  await using _source = source;
  const expected = await databaseState(source.url);
  let kills = 0;
  while (kills < KILLS) {
    await using target = await temporaryDatabase("parts_target");
    // Many units of little, or few of much, which have to be done piece by piece.
    const limits = random() < 0.5 ? TINY_LIMITS : LARGE_LIMITS;
    const restore = new PartsOfRestore(backup, target.url, { limits });
    while (restore.ready.length > 0) {
      // Two workers at once where the step has two parts.
      const parts = restore.ready.slice(0, 1 + Math.trunc(random() * 2));
      const works = parts.map(async (part) => {
        // To read the whole target takes so many more statements.
        const most = /^(planning|comparing-definitions)$/.test(part.name) ? 400 : 25;
        let left = Math.ceil(random() * most);
        const how = (["before", "during", "after"] as const)[Math.trunc(random() * 3)]!;
        const mortal = new Mortal(target.url, { at: () => --left === 0, how });
        const record = random() < 0.9;
        try {
          await restore.work(part, { definition: restore.define(mortal), record });
          if (!record) kills++;
        } catch (error) {
          assert.ok(mortal.isDead, `seed ${SEED}: ${error}`);
          kills++;
          part.previous = "interrupted";
        }
        // Chance may end any number of them at one piece, which is not given up here.
        part.attempt = Math.min(part.attempt, 5);
      });
      await Promise.all(works);
    }
    assert.equal(restore.report?.rowsLoaded, 381, `seed ${SEED}`);
    assert.deepEqual(await databaseState(target.url), expected, `seed ${SEED}`);
    await expectTidy(target.url, restore.jobId);
  }
});
