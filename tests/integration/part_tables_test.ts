import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { PartTables } from "../../supabase/functions/backup/state/part_tables.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { testPartStore } from "../support/part_store_suite.ts";
import { begin, claim, end, final, LEASE, part } from "../support/tested_store.ts";
import { testServer } from "../support/servers.ts";

const DATABASE = "e_part_tables";

/** The service's tables in a database of their own, made once and emptied for each test. */
let made: Promise<Secret> | undefined;

async function make(): Promise<Secret> {
  const server = await testServer(17);
  const session = await connect({ url: new Secret(server.url()) });
  await session.execute(`drop database if exists ${DATABASE} with (force)`);
  // Not UTF-8: what the tables hold must not depend on it.
  await session.execute(
    `create database ${DATABASE} template template0 encoding latin1 locale 'C'`,
  );
  await session.close();
  const url = new Secret(server.url(DATABASE));
  const state = new State(url);
  await state.migrate();
  await state.migrate();
  await state.close();
  return url;
}

async function open() {
  const url = await (made ??= make());
  const state = new State(url);
  await state.database.run("empty the tables", (sql) =>
    sql`
      truncate backup_internal.job_runs, backup_internal.job_parts, backup_internal.verify_jobs,
        public.backup_jobs, public.restore_jobs`);
  let aheadMs = 0;
  const store = new PartTables(state.database, { aheadMs: () => aheadMs });
  return {
    state,
    store,
    advance: (ms: number) => void (aheadMs += ms),
    aheadMs: () => aheadMs,
    job: (jobId: string, kind: "backup" | "restore" | "verify") => state.jobs.get(jobId, kind),
    [Symbol.asyncDispose]: () => state.close(),
  };
}

testPartStore("tables", open);

Deno.test("tables: what an older release began is seen as that once its workers have let go", async () => {
  await using tested = await open();
  const older = new PartTables(tested.state.database, { form: 0 });
  const job = await begin({ store: older }, [part(0, "a"), part(0, "b")], { kind: "restore" });
  const held = await claim(older, "older worker");
  assert.equal(held.begunBy, undefined);
  assert.equal(await tested.store.claim({ worker: "w", ...LEASE }), null);
  await older.complete(held, { result: null });
  const seen = await claim(tested.store);
  assert.deepEqual([seen.name, seen.begunBy], ["b", "older"]);
  await tested.store.fail(seen, final());
  await end(tested.store, job.jobId, "failed");
});

Deno.test("tables: a job that begins again is of the release that has it begin again", async () => {
  await using tested = await open();
  const older = new PartTables(tested.state.database, { form: 0 });
  await begin({ store: older }, [part(0, "a")]);
  const { error } = final();
  const first = [part(0, "b")];
  await tested.store.fail(await claim(tested.store), { kind: "begin-again", error, first });
  await tested.store.complete(await claim(tested.store), { result: null });
  const again = await claim(tested.store);
  assert.deepEqual([again.name, again.round, again.begunBy], ["b", 2, undefined]);
});

Deno.test("tables: a worker of before an upgrade leaves newer jobs alone, unless their release is gone", async () => {
  await using tested = await open();
  const older = new PartTables(tested.state.database, { form: 0, aheadMs: tested.aheadMs });
  await begin(tested, [part(0, "a")]);
  const options = { worker: "older worker", ...LEASE };
  assert.equal(await older.claim(options), null);
  assert.deepEqual(await older.waiting(), { parts: 1, nextInMs: null, workers: 0 });
  tested.advance(11 * 60_000);
  const left = await claim(older);
  assert.equal(left.begunBy, "newer");
});

Deno.test("tables: nothing of them is for anybody else", async () => {
  await using tested = await open();
  const rows = await tested.state.database.run("look", (sql) =>
    sql`
      select relname, relrowsecurity, relacl::text as rights from pg_catalog.pg_class
       where relname in ('job_runs', 'job_parts') and relkind = 'r'`);
  assert.equal(rows.length, 2);
  for (const row of rows) {
    assert.equal(row.relrowsecurity, true);
    assert.ok(row.rights === null || /^\{postgres=[a-zA-Z]+\/postgres\}$/.test(row.rights));
  }
});

Deno.test("tables: workers of several processes that claim at the same moment never get the same part", async () => {
  await using tested = await open();
  const url = await made!;
  const count = 30;
  const bounds = { maxWorkers: 32, maxAttempts: 3, maxRounds: 1 };
  await begin(tested, Array.from({ length: count }, (_, at) => part(0, `part-${at}`)), { bounds });
  const states = Array.from({ length: 3 }, () => new State(url));
  try {
    const stores = states.map((state) => new PartTables(state.database));
    const claimed = await Promise.all(
      Array.from(
        { length: 2 * count },
        (_, at) => stores[at % stores.length]!.claim({ worker: `worker ${at % 7}`, ...LEASE }),
      ),
    );
    const parts = claimed.flatMap((lease) => lease === null ? [] : [lease.part]);
    assert.equal(parts.length, count);
    assert.equal(new Set(parts).size, count);
    const tokens = new Set(claimed.flatMap((lease) => lease === null ? [] : [lease.token]));
    assert.equal(tokens.size, count);
  } finally {
    await Promise.all(states.map((state) => state.close()));
  }
});

Deno.test("tables: the database of the tests is taken away", async () => {
  const server = await testServer(17);
  const session = await connect({ url: new Secret(server.url()) });
  await session.execute(`drop database if exists ${DATABASE} with (force)`);
  await session.close();
});
