/**
 * Several engines at one job: nothing is done twice at a time, and a backup is the same whoever makes it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import { newJob } from "../../supabase/functions/backup/core/job.ts";
import type { Lease, PartOutcome } from "../../supabase/functions/backup/core/part.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import type { JobDefinition } from "../../supabase/functions/backup/jobs/job_definition.ts";
import { runWorker } from "../../supabase/functions/backup/jobs/run_worker.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  createRepository,
  type DatabaseManifest,
} from "../../supabase/functions/backup/repository/mod.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { DUMP_OPTIONS, scratchDatabase } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

Deno.test("two engines at one job never do a part twice at the same time, and do each once", async () => {
  const server = await testServer(17);
  await using database = await scratchDatabase(server, "e_engines");
  const engines = [0, 1].map(() => new State(new Secret(database.url)));
  try {
    await engines[0]!.migrate();
    const running = new Set<number>();
    const done: Lease[] = [];
    const workers = new Set<string>();
    const definition = (worker: string): JobDefinition => ({
      first: () => [],
      async run(lease): Promise<PartOutcome> {
        assert.ok(!running.has(lease.part), `part ${lease.part} runs twice`);
        running.add(lease.part);
        await new Promise((resolve) => setTimeout(resolve, 0));
        running.delete(lease.part);
        done.push(lease);
        workers.add(worker);
        const count = { result: lease.part };
        if (lease.name === "last") return { ...count, finish: { result: { parts: done.length } } };
        return lease.step === 0 && lease.part % 5 === 0
          ? { ...count, add: [{ step: 1, name: "later", payload: null, bytes: 1 }] }
          : count;
      },
    });
    const at = systemClock.now();
    const jobId = newJobId("backup", at);
    const job = newJob({
      ...{
        jobId,
        kind: "backup",
        type: "database",
        backupId: jobId,
        reason: null,
        createdBy: null,
      },
    }, at);
    const first = Array.from(
      { length: 20 },
      () => ({ step: 0, name: "early", payload: null, bytes: 1 }),
    );
    await engines[0]!.parts.begin(job, {
      parts: [...first, { step: 2, name: "last", payload: null, bytes: 0 }],
      bounds: { maxWorkers: 3, maxAttempts: 3, maxRounds: 1 },
      request: null,
    });
    await Promise.all(engines.map(async ({ parts }, index) => {
      const own = definition(`engine ${index}`);
      await runWorker({
        store: parts,
        definitionOf: () => Promise.resolve(own),
        worker: `engine ${index}`,
        clock: systemClock,
        concurrency: 2,
        patienceMs: 60_000,
      });
    }));
    const ended = await engines[0]!.jobs.get(jobId, "backup");
    assert.equal(ended?.status, "completed", JSON.stringify(ended?.error));
    assert.deepEqual(ended?.result, { parts: 25 });
    assert.equal(new Set(done.map(({ part }) => part)).size, 25);
    assert.equal(done.length, 25);
    assert.equal(workers.size, 2);
    assert.deepEqual(done.map(({ step }) => step), done.map(({ step }) => step).toSorted());
  } finally {
    for (const engine of engines) await engine.close();
  }
});

Deno.test("a backup has the same content whether one worker makes it or four", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "e_same");
  await source.run(`
    create table large (id int primary key, note text);
    insert into large select i, repeat(md5(i::text), 4) from generate_series(1, 30000) i;
    do $$ begin for i in 1..70 loop
      execute format('create table small_%s as select %s as a, repeat(''x'', %s) as b', i, i, i * 20);
    end loop; end $$;
    select lo_from_bytea(0, convert_to(repeat('large object ', 1000), 'UTF8'))`);
  const manifestWith = async (jobs: number): Promise<DatabaseManifest> => {
    const repository = await createRepository({ storage: memoryStorage(), key: null });
    const record = await backupDatabase({
      connect: () => connect({ url: source.url }),
      repository,
      clock: systemClock,
      request: {
        origin: "manual",
        backupId: "backup_same",
        dump: DUMP_OPTIONS,
        jobs,
        limits: { partBytes: 1 << 19, maxPartBytes: 1 << 21 },
      },
      writtenBy: "test",
    });
    return (await repository.readBackup(record.backupId)).manifest;
  };
  const [one, four] = [await manifestWith(1), await manifestWith(4)];
  assert.ok(one.dataParts.lines > 70);
  for (const field of ["entries", "tableData", "dataParts", "totals", "source"] as const) {
    assert.deepEqual(withoutKeys(four[field]), withoutKeys(one[field]), field);
  }
});

/** Chunks are named by keys of the repository, which differ; names do not compress equally well. */
function withoutKeys(value: unknown): unknown {
  const keyed = ["name", "newStoredBytes"];
  return JSON.parse(JSON.stringify(value, (key, each) => keyed.includes(key) ? undefined : each));
}
