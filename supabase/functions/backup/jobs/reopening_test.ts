import assert from "node:assert/strict";
import { systemClock } from "../core/clock.ts";
import { BackupError, type ErrorCode } from "../core/errors.ts";
import { type NewJob, newJob } from "../core/job.ts";
import type { Lease, NewPart } from "../core/part.ts";
import { MemoryPartStore } from "./memory_part_store.ts";
import { reopening } from "./reopening.ts";
import { runWorker } from "./run_worker.ts";

const JOB: NewJob = {
  ...{ jobId: "restore_1", kind: "restore", type: "files" as const, backupId: null },
  ...{ reason: null, createdBy: null },
};

const part = (step: number): NewPart => ({ step, name: `step ${step}`, payload: null, bytes: 0 });

/** A job of two steps, over connections whose opening, use and end are logged. */
async function jobOverConnections(failures: (ErrorCode | null)[] = []) {
  const log: string[] = [];
  let openings = 0;
  const definition = await reopening(() => {
    const connection = ++openings;
    log.push(`open ${connection}`);
    return Promise.resolve({
      first: () => [part(0), part(1)],
      run({ step }) {
        log.push(`step ${step} over ${connection}`);
        const code = failures.shift() ?? null;
        if (code !== null) throw new BackupError(code, "Cannot do the part");
        return Promise.resolve({ result: null, ...(step === 1 ? { finish: { result: {} } } : {}) });
      },
      leave: () => Promise.resolve(void log.push(`close ${connection}`)),
    });
  });
  const store = new MemoryPartStore();
  const bounds = { maxWorkers: 1, maxAttempts: 3, maxRounds: 1 };
  await store.begin(newJob(JOB, new Date()), {
    ...{ parts: definition.first(), bounds, request: null },
  });
  return { log, definition, store };
}

Deno.test("reopening() gives a worker that has left a job and comes back new connections", async () => {
  const { log, definition, store } = await jobOverConnections();
  const worker = { store, worker: "one", clock: systemClock };
  const definitionOf = () => Promise.resolve(definition);
  const firstPart = new AbortController();
  await runWorker({
    ...{ ...worker, definitionOf, signal: firstPart.signal },
    observer: { started() {}, ended: () => firstPart.abort() },
  });
  await runWorker({ ...worker, definitionOf });
  assert.deepEqual(log, [
    ...["open 1", "step 0 over 1", "close 1"],
    ...["open 2", "step 1 over 2", "close 2"],
  ]);
  assert.equal(store.get(JOB.jobId)?.status, "completed");
});

Deno.test("reopening() tries a part again over a new connection when the database was out of reach", async () => {
  const { log, definition } = await jobOverConnections([
    ...["database_unreachable", "storage_unreachable"] as const,
  ]);
  const run = () => definition.run(part(1) as Lease, null as never);
  await assert.rejects(run(), { code: "database_unreachable" });
  await assert.rejects(run(), { code: "storage_unreachable" });
  await run();
  await definition.leave?.();
  assert.deepEqual(log, [
    ...["open 1", "step 1 over 1", "open 2", "step 1 over 2", "step 1 over 2"],
    ...["close 1", "close 2"],
  ]);
});

Deno.test("reopening() opens again after it could not", async () => {
  const answers = [true, false, true];
  const definition = await reopening(() =>
    answers.shift()
      ? Promise.resolve({ first: () => [], run: () => Promise.resolve({ result: "done" }) })
      : Promise.reject(new BackupError("database_unreachable", "Cannot connect"))
  );
  await definition.leave?.();
  const run = () => definition.run(null as never, null as never);
  await assert.rejects(run(), { code: "database_unreachable" });
  assert.deepEqual(await run(), { result: "done" });
});
