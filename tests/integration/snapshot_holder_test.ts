/**
 * The moment of a backup held on a connection: proved, joined past a queue, lost and ended.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type HeldSnapshot,
  joinSnapshot,
  lockAllJoined,
  lockJoined,
  sessionHolder,
} from "../../supabase/functions/backup/dump/mod.ts";
import { checkHeld, identify } from "../../supabase/functions/backup/dump/snapshot_holder.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { untilWaiting, withDatabase } from "../support/snapshot_database.ts";

const JOB = "backup_20260101T000000000Z_snapshot00";

for (const major of [15, 17, 18] as const) {
  Deno.test(`sessionHolder() holds one moment that survives JSON and ends once, on PostgreSQL ${major}`, async () => {
    await withDatabase(major, async (database) => {
      const writer = await database.open();
      await writer.execute("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i");
      const holder = sessionHolder({ connect: database.open });
      const opened = await holder.open({ jobId: JOB, dump: DUMP_OPTIONS });
      const held: HeldSnapshot = JSON.parse(JSON.stringify(opened));
      assert.deepEqual(held, opened);
      assert.equal(held.locked.length, 1);
      await writer.execute("DELETE FROM t");

      const worker = await database.open();
      await joinSnapshot(worker, held.id);
      assert.equal((await worker.query("SELECT FROM public.t")).length, 100);
      await holder.check(worker, held);
      await holder.check(writer, held);
      await holder.close(held);
      // Also to those whose transaction has looked at the server's processes before.
      await assert.rejects(holder.check(worker, held), { code: "snapshot_lost" });
      await assert.rejects(holder.check(writer, held), { code: "snapshot_lost" });
      await holder.close(held);
      await worker.execute("ROLLBACK");
      await assert.rejects(joinSnapshot(worker, held.id), { code: "snapshot_lost" });
      assert.equal(worker.inTransaction, false);
    });
  });
}

Deno.test("sessionHolder() lets workers read what others queue for, and the queue go on afterwards", async () => {
  await withDatabase(17, async (database) => {
    const [observer, worker] = [await database.open(), await database.open()];
    await observer.execute(`
      CREATE TABLE one AS SELECT i FROM generate_series(1, 10) i;
      CREATE TABLE two AS SELECT i FROM generate_series(1, 20) i;
      CREATE TABLE three AS SELECT i FROM generate_series(1, 30) i`);
    const holder = sessionHolder({ connect: database.open });
    const held = await holder.open({ jobId: JOB, dump: DUMP_OPTIONS });
    const waiting: Promise<void>[] = [];
    for (
      const sql of ["VACUUM FULL one", "TRUNCATE two", "ALTER TABLE three ALTER i TYPE bigint"]
    ) {
      const session = await database.open();
      waiting.push(session.execute(sql));
      await untilWaiting(observer, session.backendPid);
    }
    await joinSnapshot(worker, held.id);
    const tables = ["public.one", "public.two", "public.three"];
    await lockJoined(worker, tables);
    for (const [i, table] of tables.entries()) {
      assert.equal((await worker.query(`SELECT FROM ${table}`)).length, (i + 1) * 10);
    }
    await holder.check(worker, held);
    await worker.execute("COMMIT");
    await holder.close(held);
    await Promise.all(waiting);
    assert.equal((await observer.query("SELECT FROM public.two")).length, 0);
  });
});

Deno.test("close() from another process ends the holder, and nobody who came after it", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    await session.execute("CREATE TABLE t (a int)");
    const [here, elsewhere] = [
      sessionHolder({ connect: database.open }),
      sessionHolder({ connect: database.open }),
    ];
    const held = await here.open({ jobId: JOB, dump: DUMP_OPTIONS });
    await elsewhere.close(held);
    await session.execute("DROP TABLE t");
    await assert.rejects(here.check(session, held), { code: "snapshot_lost" });
    await elsewhere.close(held);
    await here.close(held);

    // A process that has the number now is not the one that held the moment.
    const other = await here.open({ jobId: JOB, dump: DUMP_OPTIONS });
    const [facts] = [other.backend];
    const older = { ...held, backend: { ...facts, startedAt: held.backend.startedAt } };
    await elsewhere.close(older);
    await here.check(session, other);
    await assert.rejects(here.check(session, older), { code: "snapshot_lost" });
    const next = { ...other, backend: { ...facts, transactionAt: held.backend.transactionAt } };
    await elsewhere.close(next);
    await assert.rejects(here.check(session, next), { code: "snapshot_lost" });
    await here.check(session, other);
    await here.close(other);
  });
});

Deno.test("sessionHolder() ends what the same job has opened before", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    const [slow, next] = [
      sessionHolder({ connect: database.open }),
      sessionHolder({ connect: database.open }),
    ];
    const left = await slow.open({ jobId: JOB, dump: DUMP_OPTIONS });
    const other = await slow.open({ jobId: `${JOB}1`, dump: DUMP_OPTIONS });
    const held = await next.open({ jobId: JOB, dump: DUMP_OPTIONS });
    await assert.rejects(slow.check(session, left), { code: "snapshot_lost" });
    await next.check(session, held);
    await slow.check(session, other);
    for (const each of [left, other]) await slow.close(each);
    await next.close(held);
  });
});

Deno.test("sessionHolder() outlasts every timeout of database and role", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    await session.execute(`
      CREATE TABLE t (a int);
      DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET transaction_timeout = 300', current_database());
        EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = 300',
                       current_database());
        EXECUTE format('ALTER DATABASE %I SET idle_session_timeout = 300', current_database());
        EXECUTE format('ALTER DATABASE %I SET statement_timeout = 300', current_database());
      END $$`);
    const holder = sessionHolder({ connect: database.open });
    const held = await holder.open({ jobId: JOB, dump: DUMP_OPTIONS });
    await session.query("SELECT pg_sleep(0.8)");
    await holder.check(session, held);
    await holder.close(held);
  });
});

Deno.test("close() leaves no session and no lock behind", async () => {
  await withDatabase(17, async (database) => {
    const observer = await database.open();
    await observer.execute("CREATE TABLE t (a int)");
    const opened: Session[] = [];
    const connect = async () => {
      const session = await database.open();
      opened.push(session);
      return session;
    };
    const holder = sessionHolder({ connect });
    await holder.close(await holder.open({ jobId: JOB, dump: DUMP_OPTIONS }));
    await observer.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE NOWAIT; DROP TABLE t");
    assert.equal(opened.length, 2);
    for (const session of opened) await assert.rejects(session.query("SELECT 1"));
  });
});

Deno.test("check() notices locks that are gone from a transaction that is still there", async () => {
  await withDatabase(17, async (database) => {
    const [observer, mine] = [await database.open(), await database.open()];
    await observer.execute("CREATE TABLE one (a int); CREATE TABLE two (a int)");
    await mine.execute("BEGIN; LOCK TABLE one IN ACCESS SHARE MODE");
    await mine.execute("SAVEPOINT second; LOCK TABLE two IN ACCESS SHARE MODE");
    const { backend } = (await identify(observer, mine.backendPid))!;
    const held: HeldSnapshot = {
      ...{ strategy: "session", id: "", takenAt: "", lsn: "", unreadable: [], name: "", backend },
      yieldAfterMs: null,
      locked:
        (await observer.query("SELECT 'one'::regclass::oid UNION SELECT 'two'::regclass::oid"))
          .map((row) => row.oid),
    };
    const close = () => Promise.resolve();
    await checkHeld(observer, held, close);
    await mine.execute("ROLLBACK TO SAVEPOINT second");
    await assert.rejects(checkHeld(observer, held, close), {
      code: "snapshot_lost",
      message: /1 of its locks are gone/,
    });
  });
});

Deno.test("lockAllJoined() lets definitions be read of tables that others queue for", async () => {
  await withDatabase(17, async (database) => {
    const [observer, worker, other] = [
      await database.open(),
      await database.open(),
      await database.open(),
    ];
    await observer.execute("CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t");
    const holder = sessionHolder({ connect: database.open });
    const held = await holder.open({ jobId: JOB, dump: DUMP_OPTIONS });
    const altered = other.execute("ALTER TABLE t ADD COLUMN b int");
    await untilWaiting(observer, other.backendPid);
    for (const locked of [held.locked, Array.from({ length: 100_000 }, (_, i) => i + 1)]) {
      await joinSnapshot(worker, held.id);
      // So many that only those are locked for which somebody waits.
      await lockAllJoined(worker, { locked: [...held.locked, ...locked] });
      const [row] = await worker.query("SELECT pg_get_viewdef('public.v'::regclass) AS text");
      assert.match(row?.text, /SELECT/);
      await worker.execute("COMMIT");
    }
    await holder.close(held);
    await altered;
  });
});
