/**
 * The moment of a backup held by pg_cron itself, for an ordinary role, in both ways in which pg_cron runs
 * jobs. Versions before 1.5 start jobs by the minute, so each keeper takes up to a minute to come up.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  cleanStrayKeepers,
  createSnapshotHolder,
  type HeldSnapshot,
  joinSnapshot,
  listKeepers,
  lockJoined,
  type SnapshotHolder,
} from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { DEBIAN_REASON, debianServer, hasDebianServer } from "../support/debian_server.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { untilWaiting } from "../support/snapshot_database.ts";

const DUMP = { ...DUMP_OPTIONS, includeSchemas: ["app"] };

const JOBS = ["backup_20260101T000000000Z_cron000000", "backup_20260101T000000000Z_cron000001"];

const SET_UP = `
  CREATE EXTENSION pg_cron;
  CREATE ROLE app LOGIN;
  ALTER ROLE app SET statement_timeout = '2s';
  GRANT USAGE ON SCHEMA cron TO app;
  CREATE SCHEMA app AUTHORIZATION app;
  SET ROLE app;
  CREATE TABLE app."line
break'$keeper$ %I" AS SELECT i FROM generate_series(1, 10) i;
  CREATE TABLE app.t AS SELECT i FROM generate_series(1, 100) i;
  RESET ROLE`;

/** What the test works with on one server. */
interface Place {
  holder: SnapshotHolder;
  /** As the superuser. */
  admin: Session;
  /** A connection as the ordinary role. */
  open: () => Promise<Session>;
}

const skipped = !hasDebianServer(["pg_cron"]);

Deno.test({
  name:
    "keeperHolder() holds moments in pg_cron's connections and background workers, to a restart" +
    (skipped ? ` (${DEBIAN_REASON} with pg_cron)` : ""),
  ignore: skipped,
  // Together: all of them start with the same minute.
  fn: async () => {
    await Promise.all([holdTo("off"), holdTo("on")]);
  },
});

async function holdTo(backgroundWorkers: "on" | "off"): Promise<void> {
  await using server = await debianServer({
    preload: ["pg_cron"],
    settings: { "cron.use_background_workers": backgroundWorkers, max_worker_processes: "16" },
  });
  assert.ok(server !== null);
  const opened: Session[] = [];
  const keep = async (session: Promise<Session>) => {
    opened.push(await session);
    return await session;
  };
  const open = () => keep(connect({ url: server.url("postgres", "app") }));
  try {
    const admin = await keep(connect({ url: server.url() }));
    await admin.execute(SET_UP);
    const holder = createSnapshotHolder({ connect: open, hosted: true });
    const place = { holder, admin, open };
    const [first, second] = await Promise.all(
      JOBS.map((jobId) => holder.open({ jobId, dump: DUMP })),
    );
    await readPastQueue(place, first!);
    await endStray(place, { stray: first!, kept: second! });
    await server.stop("fast");
    await server.start();
    const later = await open();
    await assert.rejects(holder.check(later, second!), { code: "snapshot_lost" });
    await assert.rejects(joinSnapshot(later, second!.id), { code: "snapshot_lost" });
    await holder.close(second!);
    await holder.close(second!);
    assert.deepEqual(await later.query("SELECT FROM cron.job"), []);
  } finally {
    for (const session of opened) await session.close();
  }
}

async function readPastQueue({ holder, admin, open }: Place, held: HeldSnapshot): Promise<void> {
  assert.equal(held.strategy, "keeper");
  // With the two tables of pg_cron, whose rows an extension may have saved.
  assert.equal(held.locked.length, 4);
  // Longer than the role's statement_timeout, which pg_cron sets going before the keeper can object.
  await admin.query("SELECT pg_sleep(2.2)");
  const worker = await open();
  await holder.check(worker, held);
  const emptied = admin.execute("TRUNCATE app.t");
  await untilWaiting(worker, admin.backendPid);
  await joinSnapshot(worker, held.id);
  await lockJoined(worker, ["app.t"]);
  assert.equal((await worker.query("SELECT FROM app.t")).length, 100);
  await holder.check(worker, held);
  // The backup does not hold the job that started its own keeper.
  assert.deepEqual(
    await worker.query("SELECT FROM cron.job WHERE jobname = $1 AND command <> 'select 1'", [
      held.name,
    ]),
    [],
  );
  await worker.execute("COMMIT");
  // Both keepers hold the table.
  await admin.cancel();
  await assert.rejects(emptied);
}

async function endStray(
  { holder, open }: Place,
  { stray, kept }: { stray: HeldSnapshot; kept: HeldSnapshot },
): Promise<void> {
  const session = await open();
  assert.equal((await listKeepers(session)).length, 2);
  assert.deepEqual(
    await cleanStrayKeepers(session, { activeJobs: [JOBS[1]!], graceSeconds: 0 }),
    [stray.name],
  );
  await holder.check(session, kept);
  await assert.rejects(holder.check(session, stray), { code: "snapshot_lost" });
  await holder.close(stray);
}
