/**
 * Workers that lose their leases, sleep, or live by other clocks: only what is done under a lease counts.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { onlyParts, partBackup } from "../support/part_backup.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";
import { startWorker } from "../support/worker_process.ts";

const SAMPLE = `
  create table notes (id int primary key, body text);
  insert into notes select i, repeat(md5(i::text), 30) from generate_series(1, 600) i;
`;

async function sample() {
  const database = await temporaryDatabase("t_workers");
  const session = await connect({ url: database.url });
  await session.execute(SAMPLE).finally(() => session.close());
  return database;
}

/** Calls of some methods go by way of the test. */
function intercepted(store: PartStore, methods: Partial<PartStore>): PartStore {
  return new Proxy(store, {
    get(inner, name) {
      const own = Reflect.get(methods, name);
      if (own !== undefined) return own;
      const value = Reflect.get(inner, name, inner);
      return typeof value === "function" ? value.bind(inner) : value;
    },
  });
}

/** A worker that stands still in the first rows that it stores, until it may go on. */
function standingStill() {
  const standing = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let copying = false;
  let begun = false;
  return {
    /** Settles when it stands. */
    standing: standing.promise,
    stands: () => begun,
    goOn: () => gate.resolve(),
    storage: (storage: Storage): Storage => ({
      ...storage,
      async put(name, body, signal) {
        if (!begun && copying) {
          begun = true;
          standing.resolve();
          await gate.promise;
        }
        return await storage.put(name, body, signal);
      },
    }),
    store: (tables: PartStore): PartStore =>
      intercepted(tables, {
        async claim(options) {
          const lease = await tables.claim(options);
          copying ||= lease?.name === "copying-rows";
          return lease;
        },
      }),
  };
}

Deno.test("a worker that is cut off from the tables in the middle of a part finds its result refused", async () => {
  await using database = await sample();
  await using backup = await partBackup(database.url);
  const jobId = await backup.begin();
  const { standing, goOn, storage, store } = standingStill();
  const reports: string[] = [];
  const cutOff = backup.work(jobId, {
    ...{ storage, leaseMs: 300, onError: () => {} },
    store: (tables) =>
      intercepted(store(tables), {
        renew: () =>
          Promise.reject(new BackupError("database_unreachable", "Cannot reach it: it is cut off")),
        async complete(lease, outcome) {
          const reported = await tables.complete(lease, outcome);
          reports.push(`${lease.part} ${reported}`);
          return reported;
        },
      }),
  });
  await standing;
  backup.advance(1000);
  const other = await backup.work(jobId, { budget: onlyParts(1) });
  assert.equal(other.partsDone, 1);
  goOn();
  await cutOff;
  const first = ["1 recorded", "2 recorded", "3 recorded", "4 lost", "5 recorded"];
  assert.deepEqual(reports.slice(0, 5), first);
  await backup.expectSaved(jobId);
});

Deno.test("a worker that hears that its lease is lost stops in the middle of the part", async () => {
  await using database = await sample();
  await using backup = await partBackup(database.url);
  const jobId = await backup.begin();
  const { standing, stands, goOn, storage, store } = standingStill();
  const waking = Promise.withResolvers<void>();
  let heard = false;
  const late = backup.work(jobId, {
    ...{ storage, leaseMs: 300 },
    store: (tables) =>
      intercepted(store(tables), {
        async renew(lease, options) {
          if (!stands()) return await tables.renew(lease, options);
          await waking.promise;
          const renewed = await tables.renew(lease, options);
          heard ||= renewed.lost;
          goOn();
          return renewed;
        },
        complete(lease, outcome) {
          assert.ok(!heard, "it has gone on");
          return tables.complete(lease, outcome);
        },
      }),
  });
  await standing;
  backup.advance(1000);
  // A heartbeat may just have been on its way: then the lease ends a little later.
  await backup.work(jobId, { patienceMs: 30_000 });
  waking.resolve();
  await late;
  assert.ok(heard);
  await backup.expectSaved(jobId);
});

Deno.test("a worker that is lost between its manifest and its report has made the backup", async () => {
  await using database = await sample();
  await using backup = await partBackup(database.url);
  const jobId = await backup.begin();
  await backup.work(jobId, {
    onError: () => {},
    store: (tables) =>
      intercepted(tables, {
        async complete(lease, outcome) {
          if (outcome.finish === undefined) return await tables.complete(lease, outcome);
          throw new BackupError("internal", "Cannot report: the worker is gone");
        },
      }),
  });
  assert.equal((await backup.job(jobId)).status, "running");
  backup.advance(61_000);
  await backup.work(jobId);
  await backup.expectSaved(jobId);
});

Deno.test("two hosts share a job, and every part counts once", async () => {
  await using database = await sample();
  const storage = memoryStorage();
  await using one = await partBackup(database.url, { storage });
  await using two = await partBackup(database.url, { storage });
  const jobId = await one.begin();
  const { standing, goOn, storage: slow, store } = standingStill();
  const first = one.work(jobId, { storage: slow, store, patienceMs: 30_000 });
  await standing;
  // Meanwhile the other host does all other rows; the last step has to wait for this part.
  const second = await two.work(jobId);
  assert.ok(second.partsDone > 3);
  assert.equal((await one.job(jobId)).status, "running");
  goOn();
  await first;
  await one.expectSaved(jobId);
});

Deno.test({
  name: "a worker whose process sleeps over its lease wakes to a refusal",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using database = await sample();
    const directory = await Deno.makeTempDir({ prefix: "supabase-backup-sleeper-" });
    try {
      await using backup = await partBackup(database.url, { storage: localStorage(directory) });
      const jobId = await backup.begin();
      const sleeper = startWorker([database.url, directory, jobId, "1500", "0"]);
      assert.equal(await sleeper.line(), "inside");
      sleeper.child.kill("SIGSTOP");
      // The lease ends by the server's clock while the process sleeps, and not before.
      await backup.work(jobId, { patienceMs: 30_000 });
      await backup.expectSaved(jobId);
      sleeper.child.kill("SIGCONT");
      await sleeper.goOn();
      const reports = JSON.parse(await sleeper.line());
      assert.deepEqual(reports.slice(0, 3), ["recorded", "recorded", "recorded"]);
      assert.ok(!reports.slice(3).includes("recorded"), String(reports));
      assert.ok((await sleeper.child.status).success);
      await backup.expectSaved(jobId);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

/** A clock that is wrong by so much. */
function wrongBy(ms: number): Clock {
  return { ...systemClock, now: () => new Date(Date.now() + ms) };
}

const DAY_MS = 86_400_000;

Deno.test("workers whose clocks are wrong by days do a job as others do", async () => {
  await using database = await sample();
  const storage = memoryStorage();
  await using ahead = await partBackup(database.url, { storage });
  await using behind = await partBackup(database.url, { storage });
  const jobId = await ahead.begin();
  const { standing, goOn, storage: slow, store } = standingStill();
  const first = ahead.work(jobId, {
    ...{ storage: slow, store, clock: wrongBy(2 * DAY_MS), patienceMs: 30_000 },
  });
  await standing;
  await behind.work(jobId, { clock: wrongBy(-2 * DAY_MS) });
  // The part that stands is still the first one's.
  assert.equal((await behind.job(jobId)).status, "running");
  goOn();
  await first;
  await ahead.expectSaved(jobId);
});

Deno.test("the latest backup is the one that was begun last, also when the clock was set back", async () => {
  await using database = await sample();
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const backUp = async (clock: Clock) => {
    const { backupId } = await backupDatabase({
      ...{ connect: () => connect({ url: database.url }), repository, clock },
      request: { origin: "manual", dump: DUMP_OPTIONS },
      writtenBy: "test",
    });
    const { record, manifest } = await repository.readBackup("latest");
    assert.equal(record.backupId, backupId);
    return { backupId, manifest };
  };
  const made = [
    await backUp(wrongBy(2 * DAY_MS)),
    await backUp(systemClock),
    await backUp(wrongBy(-2 * DAY_MS)),
    await backUp(wrongBy(3 * DAY_MS)),
  ];
  const { backups } = await repository.listBackups();
  const ids = made.map(({ backupId }) => backupId);
  assert.deepEqual(backups.map(({ backupId }) => backupId), ids.toReversed());
  // Each one stands on the one before it, and the source's own clock tells when it was.
  assert.deepEqual(made.map(({ manifest }) => manifest.parent), [null, ...ids.slice(0, 3)]);
  const moments = made.map(({ manifest }) => manifest.consistency.snapshotAt);
  assert.deepEqual(moments, moments.toSorted());
});
