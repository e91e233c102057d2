/**
 * A worker's clock that is set in the middle of rows, while the server's and the machine's running time go on: the
 * lease stays its own, nothing is done twice, and what comes out is equal.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { Lease } from "../../supabase/functions/backup/core/part.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { createBudget } from "../../supabase/functions/backup/jobs/budget.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";
import { runWorker } from "../../supabase/functions/backup/jobs/run_worker.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  createRepository,
  openRepository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { PartTables } from "../../supabase/functions/backup/state/part_tables.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { databaseState } from "../support/database_state.ts";
import { DUMP_OF_PUBLIC } from "../support/kept_backup.ts";
import { partBackup } from "../support/part_backup.ts";
import { beginRestore, restoreJob } from "../support/restore_job.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";
import { watchedStore } from "../support/watched_store.ts";

const SAMPLE = `
  create table notes (id int primary key, body text);
  insert into notes select i, repeat(md5(i::text), 30) from generate_series(1, 600) i;
  create index on notes (md5(body));
`;

const HOUR_MS = 3_600_000;
/** So short that heartbeats come, and a lease's time passes, while the worker stands. */
const LEASE_MS = 900;

/**
 * A worker whose clock is set in the middle of its first rows; it then stays there for longer than a lease
 * lasts, and its clock stays as it was set.
 */
function setInTheMiddle(ms: number) {
  let setByMs = 0;
  let atRows = false;
  const taken: Pick<Lease, "part" | "attempt">[] = [];
  const reports: string[] = [];
  /** Whether heartbeats found the lease lost while the worker stood; a later one may meet the part's own end. */
  const beats: boolean[] = [];
  let stands = false;
  const reach = async () => {
    if (!atRows || setByMs !== 0) return;
    setByMs = ms;
    stands = true;
    await systemClock.sleep(2 * LEASE_MS);
    stands = false;
  };
  const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + setByMs) };
  return {
    worker: {
      ...{ clock, leaseMs: LEASE_MS, patienceMs: 30_000 },
      budget: createBudget({ cpuMs: null, memoryBytes: null, wallMs: performance.now() + 90_000 }),
    },
    store: (tables: PartStore): PartStore =>
      watchedStore(tables, {
        taken(lease) {
          taken.push(lease);
          atRows = ["copying-rows", "loading-rows"].includes(lease.name);
        },
        reported: (outcome) => void reports.push(outcome),
        renewed: (lost) => void (stands && beats.push(lost)),
      }),
    storage: (storage: Storage): Storage => ({
      ...storage,
      async put(...given) {
        await reach();
        return await storage.put(...given);
      },
      async get(...given) {
        await reach();
        return await storage.get(...given);
      },
    }),
    /** Every part was taken once, its lease was kept, and what was done of it counted. */
    expectOnce() {
      assert.ok(setByMs !== 0, "the clock was never set");
      assert.deepEqual(new Set(beats), new Set([false]));
      assert.deepEqual(new Set(taken.map(({ attempt }) => attempt)), new Set([1]));
      assert.equal(new Set(taken.map(({ part }) => part)).size, taken.length);
      assert.deepEqual(new Set(reports), new Set(["recorded"]));
      assert.equal(reports.length, taken.length);
    },
  };
}

for (const [how, ms] of [["back", -HOUR_MS], ["forward", HOUR_MS]] as const) {
  Deno.test(`a backup in the middle of which the worker's clock is set ${how} by an hour is whole`, async () => {
    await using database = await temporaryDatabase("t_clock");
    await runSql(database.url, SAMPLE);
    await using backup = await partBackup(database.url);
    const jobId = await backup.begin();
    const { worker, store, storage, expectOnce } = setInTheMiddle(ms);
    const report = await backup.work(jobId, { ...worker, store, storage });
    assert.equal(report.stoppedBy, "idle");
    expectOnce();
    await backup.expectSaved(jobId);
    const job = await backup.job(jobId);
    assert.ok(Date.parse(job.completedAt!) >= Date.parse(job.startedAt), JSON.stringify(job));
  });

  Deno.test(`a restore in the middle of which the worker's clock is set ${how} by an hour is whole`, async () => {
    await using source = await temporaryDatabase("t_clock");
    await using target = await temporaryDatabase("t_clock_target");
    await using tables = await temporaryDatabase("t_clock_tables");
    await runSql(source.url, SAMPLE);
    const state = new State(new Secret(tables.url));
    const { worker, store, storage, expectOnce } = setInTheMiddle(ms);
    const inner = memoryStorage();
    try {
      await state.migrate();
      await backupDatabase({
        connect: () => connect({ url: source.url }),
        repository: await createRepository({ storage: inner, key: null }),
        request: {
          ...{ origin: "manual", dump: DUMP_OF_PUBLIC },
          limits: { partBytes: 65_536, maxPartBytes: 262_144 },
        },
        ...{ clock: systemClock, writtenBy: "test" },
      });
      const { clock } = worker;
      const jobId = await beginRestore(state);
      const repository = await openRepository({ storage: storage(inner), key: null, clock });
      const definition = restoreJob({ jobId, repository, targetUrl: target.url, clock });
      const report = await runWorker({
        ...{ ...worker, jobId, worker: "w", store: store(new PartTables(state.database)) },
        definitionOf: () => Promise.resolve(definition),
      });
      assert.equal(report.stoppedBy, "idle");
      expectOnce();
      const ended = await state.jobs.get(jobId, "restore");
      assert.deepEqual([ended?.status, ended?.error], ["completed", null]);
      assert.deepEqual(
        await databaseState(target.url, DUMP_OF_PUBLIC),
        await databaseState(source.url, DUMP_OF_PUBLIC),
      );
    } finally {
      await state.close();
    }
  });
}
