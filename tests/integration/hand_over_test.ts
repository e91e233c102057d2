import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  type HandedWork,
  handOver,
  type HandOverOptions,
} from "../../supabase/functions/backup/restore/hand_over.ts";
import {
  markStatement,
  openMarks,
  readMark,
  removeMarks,
} from "../../supabase/functions/backup/restore/restore_marks.ts";
import {
  readRestoreTraces,
  readUnfinishedRestores,
} from "../../supabase/functions/backup/postgres/restore_traces.ts";
import { beginTrace } from "../../supabase/functions/backup/restore/trace_marks.ts";
import { testServer } from "../support/servers.ts";

const server = await testServer(17);

async function withDatabase(
  work: (context: { session: Session; options: HandOverOptions }) => Promise<void>,
): Promise<void> {
  const database = `hand_over_${crypto.randomUUID().slice(0, 8)}`;
  const admin = await connect({ url: server.url() });
  await admin.execute(`CREATE DATABASE ${database}`);
  const openSession = () => connect({ url: server.url(database) });
  const session = await openSession();
  try {
    await openMarks(session, { jobId: "job-1", plan: "1" });
    await work({
      session,
      options: {
        openSession,
        leave: new AbortController().signal,
        sleep: systemClock.sleep,
        pollMs: 20,
      },
    });
  } finally {
    await session.close();
    await admin.execute(`DROP DATABASE ${database} WITH (FORCE)`);
    await admin.close();
  }
}

const work = (statements: string[], name = "w"): HandedWork => ({
  jobId: "job-1",
  name,
  statements,
});

Deno.test("handOver() does the work and marks it in one transaction, and never again", async () => {
  await withDatabase(async ({ session, options }) => {
    await session.execute("CREATE TABLE t (a int)");
    const insert = work(["INSERT INTO public.t VALUES (1)", "INSERT INTO public.t VALUES (2)"]);
    const mark = await handOver(insert, options);
    assert.deepEqual(mark, { name: "w", detail: null, refusal: null });
    assert.deepEqual(await handOver(insert, options), mark);
    assert.deepEqual(await session.query("SELECT a FROM t ORDER BY a"), [{ a: 1 }, { a: 2 }]);
  });
});

Deno.test("handOver() keeps what a query found as the mark's detail", async () => {
  await withDatabase(async ({ options }) => {
    const count = {
      ...work([]),
      query: "SELECT count(*)::text FROM pg_catalog.generate_series(1, 7)",
    };
    assert.deepEqual(await handOver(count, options), { name: "w", detail: "7", refusal: null });
  });
});

Deno.test("handOver() marks a refusal with nothing of the work left, and throws what may pass", async () => {
  await withDatabase(async ({ session, options }) => {
    await session.execute("CREATE TABLE t (a int)");
    const refused = work([
      "INSERT INTO public.t VALUES (1)",
      `CREATE INDEX "odd 'name' \\" ON public.t (nothing)`,
    ]);
    const mark = await handOver(refused, options);
    assert.ok(mark !== "running");
    assert.equal(mark.refusal?.sqlState, "42703");
    assert.deepEqual(await session.query("SELECT a FROM t"), []);

    await session.execute("BEGIN; LOCK TABLE public.t");
    const locked = work(["SET LOCAL lock_timeout = 1", "DELETE FROM public.t"], "locked");
    await assert.rejects(handOver(locked, options), /lock/);
    await session.execute("ROLLBACK");
    assert.equal(await readMark(session, { jobId: "job-1", name: "locked" }), null);
  });
});

Deno.test("a statement goes on in the server when its worker leaves, and the next one waits for it", async () => {
  await withDatabase(async ({ session, options }) => {
    await session.execute(`
      CREATE TABLE t (a int);
      INSERT INTO t VALUES (1);
      CREATE FUNCTION wait(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(4711); RETURN a; END $$;
      SELECT pg_catalog.pg_advisory_lock(4711)`);
    const build = work(["CREATE INDEX slow ON public.t (public.wait(a))"]);
    const leave = new AbortController();
    const first = handOver(build, { ...options, leave: leave.signal });
    await untilWaiting(session);
    leave.abort();
    assert.equal(await first, "running");

    // The second worker asks once and finds it running; the first backend is still at it.
    const asked = Promise.withResolvers<void>();
    const second = handOver(build, {
      ...options,
      sleep: (ms, signal) => {
        asked.resolve();
        return systemClock.sleep(ms, signal);
      },
    });
    await asked.promise;
    assert.equal(await waiting(session), 1);
    await session.execute("SELECT pg_catalog.pg_advisory_unlock(4711)");
    assert.deepEqual(await second, { name: "w", detail: null, refusal: null });
    const [index] = await session.query(
      "SELECT indisvalid FROM pg_index WHERE indexrelid = 'slow'::regclass",
    );
    assert.equal(index?.indisvalid, true);
  });
});

Deno.test("work whose plan is not in force is not done, and a plan does not follow one that was begun later", async () => {
  await withDatabase(async ({ session, options }) => {
    await session.execute("CREATE TABLE t (a int)");
    const insert = (plan: string) => ({ ...work(["INSERT INTO public.t VALUES (1)"]), plan });
    await openMarks(session, { jobId: "job-1", plan: "9" });
    await openMarks(session, { jobId: "job-1", plan: "10" });
    const lost = { code: "interrupted" };
    await assert.rejects(handOver(insert("9"), options), lost);
    await assert.rejects(openMarks(session, { jobId: "job-1", plan: "9" }), lost);
    await session.execute("ROLLBACK");
    await assert.rejects(removeMarks(session, { jobId: "job-1", plan: "9" }), lost);
    await handOver(insert("10"), options);
    assert.deepEqual(await session.query("SELECT a FROM t"), [{ a: 1 }]);

    // Marks are not removed under work that goes on.
    await session.execute("BEGIN");
    assert.equal(await readMark(session, { jobId: "job-1", plan: "10", name: "x" }), null);
    const other = await options.openSession();
    await other.execute("SET lock_timeout = 50");
    await assert.rejects(removeMarks(other, { jobId: "job-1" }), /lock/);
    await session.execute("COMMIT");
    await removeMarks(other, { jobId: "job-1" });
    await other.close();
    await assert.rejects(handOver(insert("10"), options), lost);
  });
});

Deno.test("marks go with their job, and their table with the last of them", async () => {
  await withDatabase(async ({ session }) => {
    // The names of a table's marks are found by how they begin, whatever the order of the database.
    const [order] = await session.query(`select c.collname from pg_attribute a
      join pg_collation c on c.oid = a.attcollation
      where a.attrelid = 'backup_internal.restore_marks'::regclass and a.attname = 'name'`);
    assert.equal(order?.collname, "C");
    await openMarks(session, { jobId: "job-1", plan: "1" });
    await session.execute(markStatement("job-1", "it's"));
    await session.execute(markStatement("job-2", "b"));
    assert.equal((await readMark(session, { jobId: "job-1", name: "it's" }))?.name, "it's");
    await removeMarks(session, { jobId: "job-1" });
    assert.equal(await readMark(session, { jobId: "job-1", name: "it's" }), null);
    assert.equal((await readMark(session, { jobId: "job-2", name: "b" }))?.name, "b");
    await removeMarks(session, { jobId: "job-2" });
    const left = await session.query(
      "SELECT 1 FROM pg_namespace WHERE nspname = 'backup_internal'",
    );
    assert.deepEqual(left, []);
  });
});

async function waiting(session: Session): Promise<number> {
  const [row] = await session.query(
    `SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  return row!.n;
}

async function untilWaiting(session: Session): Promise<void> {
  while (await waiting(session) === 0) await systemClock.sleep(5);
}

Deno.test("a restore that goes on with another one keeps the trace of its work, though it does nothing itself", async () => {
  await withDatabase(async ({ session }) => {
    const traces = () => readRestoreTraces((sql) => session.query(sql));
    const begun = {
      facts: { backupId: "backup-1", choice: {}, parts: 2 },
      ...{ plan: { made: [], loads: [] }, before: null, gone: [] },
    };
    await beginTrace(session, { jobId: "job-1", plan: "1" }, begun);
    // A definition was made, and no row was loaded.
    await session.execute(markStatement("job-1", "0/0"));
    const [trace] = await traces();
    const before = { trace: trace!, made: null, loads: null, filled: new Map() };
    const second = { jobId: "job-2", plan: "2" };
    await openMarks(session, second);
    await beginTrace(session, second, { ...begun, before });
    await removeMarks(session, { jobId: "job-2", keepsTrace: true });
    assert.deepEqual(await traces(), [{ ...trace!, jobId: "job-2" }]);
    // Of one that has done nothing nothing is to be told.
    const third = { jobId: "job-3", plan: "3" };
    await openMarks(session, third);
    await beginTrace(session, third, begun);
    const unfinished = await readUnfinishedRestores((sql) => session.query(sql));
    assert.deepEqual([unfinished.length, unfinished[0]?.jobId, (await traces()).length], [
      ...[1, "job-2", 2],
    ]);
    await removeMarks(session, { jobId: "job-3", keepsTrace: true });
    assert.deepEqual((await traces()).map(({ jobId }) => jobId), ["job-2"]);
  });
});
