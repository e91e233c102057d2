/**
 * The moment of a backup held by a job of the database: against a stand-in for pg_cron that starts jobs at
 * once, with what goes wrong on the way.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  cleanStrayKeepers,
  createSnapshotHolder,
  describeWaiters,
  findWaiters,
  joinSnapshot,
  keeperHolder,
  KeeperMissing,
  listKeepers,
  lockJoined,
} from "../../supabase/functions/backup/dump/mod.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { type CronStandIn, startCronStandIn } from "../support/cron_stand_in.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { type SnapshotDatabase, untilWaiting, withDatabase } from "../support/snapshot_database.ts";

const DUMP = { ...DUMP_OPTIONS, excludeSchemas: ["cron"] };

const JOB = "backup_20260101T000000000Z_keeper0000";
const OTHER_JOB = "backup_20260101T000000000Z_keeper0001";

async function withCron(
  work: (database: SnapshotDatabase & { cron: CronStandIn; session: Session }) => Promise<void>,
  major: 15 | 17 | 18 = 17,
): Promise<void> {
  await withDatabase(major, async (database) => {
    const session = await database.open();
    await session.execute("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i");
    await using cron = await startCronStandIn(database.url);
    await work({ ...database, cron, session });
  });
}

/** Waits until the server shows no process of a keeper. */
async function untilNoKeeper(session: Session): Promise<void> {
  while ((await listKeepers(session)).length > 0);
}

for (const major of [15, 17, 18] as const) {
  Deno.test(`keeperHolder() holds a moment without its client, whatever timeouts are set, on PostgreSQL ${major}`, async () => {
    await withCron(async ({ open, session, cron }) => {
      const timeouts = [
        "statement_timeout = 400",
        "lock_timeout = 400",
        "idle_in_transaction_session_timeout = 400",
        "idle_session_timeout = 400",
        "client_connection_check_interval = 100",
        "default_transaction_isolation = 'serializable'",
        ...(major >= 17 ? ["transaction_timeout = 400"] : []),
      ];
      for (const timeout of timeouts) {
        await session.execute(
          `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET ${
            timeout.replaceAll("'", "''")
          }', current_database()); END $$`,
        );
      }
      const odd = `"line
break'$keeper$ %I ""quoted"" \\"`;
      await session.execute(`CREATE TABLE ${odd} AS SELECT i FROM generate_series(1, 7) i`);
      const holder = keeperHolder({ connect: open });
      const held = await holder.open({ jobId: JOB, dump: DUMP });
      assert.equal(held.strategy, "keeper");
      assert.equal(held.locked.length, 2);
      assert.match(held.lsn, /^[0-9A-F]+\/[0-9A-F]+$/);
      assert.equal(held.takenAt >= held.backend.transactionAt.slice(0, 23), true);
      assert.deepEqual(await session.query("SELECT FROM cron.job"), []);
      await session.execute("DELETE FROM t");
      await session.query("SELECT pg_sleep(0.9)");
      assert.equal(cron.started.length, 1);

      const worker = await open();
      await worker.execute("SET statement_timeout = 0");
      if (major >= 17) await worker.execute("SET transaction_timeout = 0");
      await joinSnapshot(worker, held.id);
      assert.equal((await worker.query("SELECT FROM public.t")).length, 100);
      assert.deepEqual(await worker.query("SELECT FROM cron.job"), []);
      await lockJoined(worker, [`public.${odd}`]);
      await holder.check(worker, held);
      const elsewhere = keeperHolder({ connect: open });
      await elsewhere.close(held);
      await assert.rejects(holder.check(worker, held), { code: "snapshot_lost" });
      await holder.close(held);
      assert.deepEqual(await listKeepers(session), []);
    }, major);
  });
}

Deno.test("keeperHolder() lets workers read what VACUUM FULL, TRUNCATE and ALTER queue for", async () => {
  await withCron(async ({ open, session }) => {
    await session.execute(`
      CREATE TABLE two AS SELECT i FROM generate_series(1, 20) i;
      CREATE TABLE three AS SELECT i FROM generate_series(1, 30) i;
      CREATE VIEW seen AS SELECT i FROM t`);
    const holder = keeperHolder({ connect: open });
    const held = await holder.open({ jobId: JOB, dump: DUMP });
    const waiting: Promise<void>[] = [];
    for (
      const sql of ["VACUUM FULL t", "TRUNCATE two", "ALTER TABLE three ALTER i TYPE bigint"]
    ) {
      const other = await open();
      waiting.push(other.execute(sql));
      await untilWaiting(session, other.backendPid);
    }
    await session.execute(
      "CREATE OR REPLACE VIEW seen AS SELECT i, i AS again FROM (SELECT 1 i) s",
    );
    const workers = [await open(), await open()];
    await Promise.all(workers.map(async (worker) => {
      await joinSnapshot(worker, held.id);
      await lockJoined(worker, ["public.t", "public.two", "public.three"]);
      assert.equal((await worker.query("SELECT FROM public.t")).length, 100);
      assert.equal((await worker.query("SELECT FROM public.two")).length, 20);
      assert.equal((await worker.query("SELECT FROM public.three")).length, 30);
      await holder.check(worker, held);
      await worker.execute("COMMIT");
    }));
    assert.equal(waiting.length, (await findWaiters(session, held.backend.pid)).length);
    await holder.close(held);
    await Promise.all(waiting);
  });
});

Deno.test("check() refuses a part's result when the keeper was ended in the middle", async () => {
  await withCron(async ({ open, session }) => {
    const holder = keeperHolder({ connect: open });
    const held = await holder.open({ jobId: JOB, dump: DUMP });
    const worker = await open();
    await joinSnapshot(worker, held.id);
    await holder.check(worker, held);
    await session.query("SELECT pg_terminate_backend($1, 10000)", [held.backend.pid]);
    await session.execute("TRUNCATE t");
    // The worker's snapshot is still there, and shows the table empty without an error.
    assert.equal((await worker.query("SELECT FROM public.t")).length, 0);
    await assert.rejects(holder.check(worker, held), { code: "snapshot_lost" });
    await holder.close(held);
  });
});

Deno.test("keeperCommand() ends at once when pg_cron runs it again after it was forgotten", async () => {
  await withCron(async ({ open, session, cron }) => {
    const holder = keeperHolder({ connect: open });
    const held = await holder.open({ jobId: JOB, dump: DUMP });
    await session.query("SELECT pg_terminate_backend($1, 10000)", [held.backend.pid]);
    const again = await open();
    await again.execute(cron.started[0]!);
    await assert.rejects(holder.check(session, held), { code: "snapshot_lost" });
    // Scheduled still, but after the time in which anybody waits for it.
    const late = cron.started[0]!.replaceAll(/20\d\d-\d\d-\d\dT[\d:]+Z/g, "2001-01-01T00:00:00Z");
    cron.starting = false;
    await session.query("SELECT cron.schedule($1, '1 seconds', $2)", [held.name, late]);
    await again.execute(late);
    // What the clean-up finds of it is taken off, also for a job that goes on.
    assert.deepEqual(await cleanStrayKeepers(session, { activeJobs: [JOB] }), [held.name]);
    assert.deepEqual(await session.query("SELECT FROM cron.job"), []);
  });
});

Deno.test("keeperHolder() begins again when tables come, go or are rewritten on the way", async () => {
  for (
    const [change, tables] of [
      ["DROP TABLE t", 1],
      ["CREATE TABLE late ()", 3],
      ["ALTER TABLE t RENAME TO moved", 2],
      ["ALTER TABLE t ALTER i TYPE bigint", 2],
    ] as const
  ) {
    await withCron(async ({ open, session, cron }) => {
      await session.execute("CREATE TABLE other ()");
      let changed = false;
      cron.beforeStart = async () => {
        if (!changed) await session.execute(change);
        changed = true;
      };
      const holder = keeperHolder({ connect: open });
      const held = await holder.open({ jobId: JOB, dump: DUMP });
      assert.equal(held.locked.length, tables, change);
      // A rename or another file before the locks is no difference: the snapshot is newer.
      assert.equal(cron.started.length, tables === 2 ? 1 : 2, change);
      await holder.check(session, held);
      await holder.close(held);
    });
  }
});

Deno.test("keeperHolder() names the table that somebody else has locked, and leaves nothing behind", async () => {
  await withCron(async ({ open, session }) => {
    const other = await open();
    await other.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    const holder = keeperHolder({ connect: open });
    await assert.rejects(
      holder.open({ jobId: JOB, dump: DUMP, lockTimeoutMs: 50 }),
      { code: "lock_timeout", message: /"public"\."t"/ },
    );
    assert.deepEqual(await listKeepers(session), []);
    assert.deepEqual(await session.query("SELECT FROM cron.job"), []);
  });
});

Deno.test("keeperHolder() says so when no keeper is started, and takes its job away", async () => {
  await withCron(async ({ open, session, cron }) => {
    cron.starting = false;
    const holder = keeperHolder({ connect: open, startTimeoutMs: 200 });
    await assert.rejects(holder.open({ jobId: JOB, dump: DUMP }), {
      code: "invalid_config",
      message: /pg_cron did not start its keeper in 1 s \(the server shows no pg_cron launcher\)/,
    });
    assert.deepEqual(await session.query("SELECT FROM cron.job"), []);
  });
});

Deno.test("createSnapshotHolder() holds the moment itself once pg_cron was seen to start nothing", async () => {
  await withCron(async ({ open, session, cron }) => {
    cron.starting = false;
    const holder = createSnapshotHolder({ connect: open, hosted: true, startTimeoutMs: 200 });
    const missing = await holder.open({ jobId: JOB, dump: DUMP }).then(
      () => assert.fail("nobody started it"),
      (error) => error as KeeperMissing,
    );
    assert.ok(missing instanceof KeeperMissing);
    assert.deepEqual(await listKeepers(session), []);
    const held = await holder.open({ jobId: JOB, dump: DUMP, withoutKeeper: missing.why });
    assert.equal(held.strategy, "session");
    assert.match(held.remark!, /did not start its keeper in 1 s .*; a worker's connection held/);
    assert.deepEqual(await session.query("SELECT FROM cron.job"), []);
    await holder.check(session, held);
    await holder.close(held);
    await assert.rejects(holder.check(session, held), (error) => {
      const { code, message, hint } = error as { code: string; message: string; hint: string };
      return code === "snapshot_lost" && message.includes(held.remark!) &&
        /let pg_cron start jobs/.test(hint);
    });
  });
});

Deno.test("two jobs have two keepers; a job that begins again ends its former one; strays are ended", async () => {
  await withCron(async ({ open, session }) => {
    const holder = keeperHolder({ connect: open });
    const [one, two] = await Promise.all([
      holder.open({ jobId: JOB, dump: DUMP }),
      holder.open({ jobId: OTHER_JOB, dump: DUMP }),
    ]);
    await holder.check(session, one);
    await holder.check(session, two);
    const again = await holder.open({ jobId: JOB, dump: DUMP });
    await assert.rejects(holder.check(session, one), { code: "snapshot_lost" });
    await holder.check(session, again);
    assert.deepEqual(
      (await listKeepers(session)).map(({ name, strategy }) => [name, strategy]).sort(),
      [[again.name, "keeper"], [two.name, "keeper"]].sort(),
    );
    const young = await cleanStrayKeepers(session, { activeJobs: [], graceSeconds: 600 });
    assert.deepEqual(young, []);
    const ended = await cleanStrayKeepers(session, { activeJobs: [JOB], graceSeconds: 0 });
    assert.deepEqual(ended, [two.name]);
    await holder.check(session, again);
    await assert.rejects(holder.check(session, two), { code: "snapshot_lost" });
    await holder.close(again);
  });
});

Deno.test("a keeper ends itself when its time is over", async () => {
  await withCron(async ({ open, session }) => {
    const holder = keeperHolder({ connect: open });
    const held = await holder.open({ jobId: JOB, dump: DUMP, maxKeeperSeconds: 1 });
    await untilNoKeeper(session);
    await assert.rejects(holder.check(session, held), { code: "snapshot_lost" });
    await session.execute("TRUNCATE t");
  });
});

Deno.test("check() gives way to those who wait too long, when that is set, and says who it was", async () => {
  await withCron(async ({ open, session }) => {
    const holder = createSnapshotHolder({ connect: open, hosted: true });
    const held = await holder.open({ jobId: JOB, dump: DUMP, yieldAfterMs: 0 });
    assert.equal(held.strategy, "keeper");
    assert.deepEqual(await holder.check(session, held), []);
    const other = await open();
    const altered = other.execute("ALTER TABLE t ADD COLUMN more int");
    await untilWaiting(session, other.backendPid);
    const waiters = await holder.check(session, { ...held, yieldAfterMs: 600_000 });
    assert.deepEqual(waiters.map(({ pid, table, mode }) => ({ pid, table, mode })), [
      { pid: other.backendPid, table: "public.t", mode: "AccessExclusiveLock" },
    ]);
    assert.match(describeWaiters(waiters)!, /of role postgres has waited 0 s for public\.t$/);
    await assert.rejects(holder.check(session, held), {
      code: "snapshot_lost",
      message: /gave way to others .*public\.t/,
    });
    await altered;
    assert.deepEqual(await findWaiters(session, held.backend.pid), []);
  });
});

Deno.test("createSnapshotHolder() uses a connection on hosts and where there is no pg_cron", async () => {
  await withDatabase(17, async ({ open }) => {
    for (const hosted of [true, false]) {
      const holder = createSnapshotHolder({ connect: open, hosted });
      const held = await holder.open({ jobId: JOB, dump: DUMP });
      assert.equal(held.strategy, "session");
      const elsewhere = createSnapshotHolder({ connect: open, hosted });
      await elsewhere.close(held);
      const session = await open();
      await assert.rejects(holder.check(session, held), (error) => {
        const { code, hint } = error as { code: string; hint: string };
        return code === "snapshot_lost" && /pg_cron/.test(hint);
      });
      await holder.close(held);
    }
  });
});
