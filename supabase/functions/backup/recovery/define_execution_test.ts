/**
 * Executions of plans as jobs, with steps that are played. Longer than usual: all tests share one way to make a plan,
 * to run it, and to let workers die.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError, toBackupError } from "../core/errors.ts";
import { type Job, newJob } from "../core/job.ts";
import { END_PART, type JobEnd, type Lease } from "../core/part.ts";
import type { Execution, RecoveryPlan, RecoveryStep } from "../core/recovery.ts";
import { MemoryPartStore } from "../jobs/memory_part_store.ts";
import { createRepository } from "../repository/mod.ts";
import { memoryStorage } from "../storage/memory.ts";
import type { Deps } from "../usecases/deps.ts";
import { defineExecution, firstOfExecution } from "./define_execution.ts";
import { readJournal } from "./journal.ts";
import type { StepContext, StepKind, StepOutcome } from "./step.ts";
import { STEP_KINDS } from "./steps/mod.ts";

const ID = "recovery_20260101T000000000Z_0123456789";
const LEASE_MS = 60_000;

function step(id: string, more: Partial<RecoveryStep> = {}): RecoveryStep {
  return {
    ...{ id, name: id, description: "", type: "backup_restore", order: 1, timeout: 10 },
    ...{ retryCount: 0, dependencies: [], parameters: {} },
    ...more,
  };
}

function done(found = "done"): StepOutcome {
  return { state: "done", found, details: {}, byHand: [] };
}

/** An engine whose time stands still unless somebody waits, and whose steps do what the test says. */
async function engine(
  steps: RecoveryStep[],
  run: (context: StepContext, tries: number) => Promise<StepOutcome> | StepOutcome,
  { conclude, storage = memoryStorage() }: {
    conclude?: (context: StepContext, jobId: string) => Promise<StepOutcome> | StepOutcome;
    storage?: ReturnType<typeof memoryStorage>;
  } = {},
) {
  let nowMs = Date.parse("2026-01-01T00:00:00Z");
  const alarms = new Set<() => void>();
  const repository = await createRepository({ storage, key: null });
  const jobs = new Map<string, Job>();
  const cancelled: string[] = [];
  const told: string[] = [];
  const ran: string[] = [];
  const store = new MemoryPartStore({ nowMs: () => nowMs });
  const away = () => Promise.reject(new BackupError("database_unreachable", "Cannot: away"));
  const deps = {
    clock: {
      now: () => new Date(nowMs),
      sleep: (_ms: number, signal?: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          alarms.add(resolve);
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    },
    settings: () => Promise.resolve({ settings: {}, fromTables: false }),
    openRepository: () => Promise.resolve(repository),
    state: {
      executions: { write: away, get: away },
      plans: { markTested: away },
      audit: { add: away },
      jobs: { get: away },
    },
    jobs: {
      get: (id: string) => id === ID ? store.get(id) : jobs.get(id),
      cancel: (id: string) => Promise.resolve(void cancelled.push(id)),
    },
    recovery: { executions: new Map() },
    notify: ({ message }: { message: string }) => Promise.resolve(void told.push(message)),
    reportError: () => {},
  } as unknown as Deps;
  const plan: RecoveryPlan = {
    ...{ id: "plan", name: "Plan", description: "", priority: "high", triggers: ["t"], steps },
    ...{ estimatedRecoveryTime: 1, enabled: true },
  };
  const caller = { name: "test", requestId: "r" };
  const asked = {
    ...{ task: "recovery" as const, executionId: ID, plan, journaled: true },
    startedAt: new Date(nowMs).toISOString(),
    request: {
      ...{ trigger: "t", mode: "live" as const, force: false, rotate: [], idempotencyKey: null },
      caller,
    },
  };
  await repository.writeDocument({ name: `executions/${ID}/begin`, value: asked });
  const kind: StepKind = {
    type: "backup_restore",
    parameters: STEP_KINDS.backup_restore.parameters,
    run: async (context) => {
      ran.push(context.step.id);
      return await run(context, ran.filter((id) => id === context.step.id).length);
    },
    ...(conclude === undefined
      ? {}
      : { conclude: async (context, jobId) => await conclude(context, jobId) }),
  };
  const kinds = { ...STEP_KINDS, backup_restore: kind, notification: kind };
  const worker = () => defineExecution(deps, asked, kinds);
  const of = { jobId: ID, kind: "recovery" as const, type: "database" as const, backupId: "plan" };
  const job = newJob({ ...of, reason: null, createdBy: null }, new Date(nowMs));
  const bounds = { maxWorkers: 1, maxAttempts: 8, maxRounds: 1 };
  await store.begin(job, { parts: firstOfExecution(), bounds, request: null });

  const claim = () => store.claim({ worker: "w", leaseMs: LEASE_MS });
  const context = (lease: Lease, signal = new AbortController().signal) => ({
    signal,
    onProgress: () => {},
    results: (name: string) => store.results(lease, name),
  });
  /** Does a part; `report: false` is a worker that dies before it can say what it did. */
  const take = async (lease: Lease, { report = true } = {}) => {
    const definition = worker(); // nothing is kept from part to part
    try {
      const outcome = lease.name === END_PART
        ? (await definition.end!(lease.payload as JobEnd, context(lease)), { result: null })
        : await definition.run(lease, context(lease));
      if (report) await store.complete(lease, outcome);
    } catch (error) {
      if (report) await store.fail(lease, { kind: "final", error: toBackupError(error) });
    }
  };
  return {
    ...{ deps, store, jobs, cancelled, told, ran, job, repository, claim, take, context, worker },
    advance: (ms: number) => void (nowMs += ms),
    ring: () => alarms.forEach((alarm) => alarm()),
    /** Works until nothing is left; `between` happens when nothing can be taken now. */
    async finish(between: () => void = () => {}): Promise<Execution> {
      for (let turn = 0; turn < 500; turn++) {
        const lease = await claim();
        if (lease !== null) {
          await take(lease);
          continue;
        }
        const { nextInMs } = await store.waiting();
        if (nextInMs === null) break;
        between();
        nowMs += nextInMs;
      }
      return deps.recovery.executions.get(ID)!.execution;
    },
    runningJob(jobId: string): Job {
      const restore = { jobId, kind: "restore" as const, type: "database" as const };
      const running = newJob(
        { ...restore, backupId: "b", reason: null, createdBy: null },
        new Date(nowMs),
      );
      jobs.set(jobId, running);
      return running;
    },
  };
}

const statuses = ({ steps }: Execution) =>
  Object.fromEntries(steps.map((s) => [s.stepId, s.status]));

Deno.test("an execution runs its steps in order, each with the ends of those before, and succeeds", async () => {
  const seen: string[][] = [];
  const it = await engine(
    [
      step("c", { order: 3, dependencies: ["b"] }),
      step("b", { order: 2, dependencies: ["a"] }),
      step("a"),
    ],
    ({ step: { id }, earlier, idempotencyKey }) => {
      assert.equal(idempotencyKey, `${ID}:${id}`);
      seen.push([...earlier].map(([name, { found }]) => `${name}=${found}`));
      return done(`did ${id}`);
    },
  );
  const execution = await it.finish();
  assert.deepEqual(it.ran, ["a", "b", "c"]);
  assert.deepEqual(seen, [[], ["a=did a"], ["a=did a", "b=did b"]]);
  assert.deepEqual([execution.status, execution.message], ["success", "did a; did b; did c"]);
  assert.equal(it.job.status, "completed");
  assert.equal(it.told.length, 1);
  const journal = await readJournal(it.repository, ID);
  assert.deepEqual(journal?.execution, { ...execution, recorded: false });
});

Deno.test("a step that fails keeps its dependents from running, and no others", async () => {
  const it = await engine(
    [
      step("a"),
      step("b", { dependencies: ["a"], order: 2 }),
      step("c", { dependencies: ["b"], order: 3 }),
      step("d", { order: 4 }),
    ],
    ({ step: { id } }) => {
      if (id === "a") throw new BackupError("restore_mismatch", "Cannot a: no", { hint: "Look." });
      return done();
    },
  );
  const execution = await it.finish();
  assert.deepEqual(it.ran, ["a", "d"]);
  assert.deepEqual(statuses(execution), { a: "failed", b: "not_run", c: "not_run", d: "done" });
  assert.deepEqual([execution.status, execution.error?.code], ["partial", "recovery_failed"]);
  assert.deepEqual(execution.error?.details, { failed: ["a"], notRun: ["b", "c"] });
  assert.deepEqual(execution.steps[0]?.error, {
    ...{ code: "restore_mismatch", message: "Cannot a: no", hint: "Look." },
  });
  assert.deepEqual([it.job.status, it.job.error?.code], ["failed", "recovery_failed"]);
});

Deno.test("an execution that changed nothing and failed has failed; one with nothing to do has succeeded", async () => {
  const looks = step("look", { parameters: { checkOnly: true } });
  const failing = await engine(
    [looks, step("act", { dependencies: ["look"], order: 2 })],
    ({ step: { id } }) => {
      if (id === "act") throw new Error("a defect that may quote a value");
      return done();
    },
  );
  const failed = await failing.finish();
  assert.equal(failed.status, "failed");
  assert.doesNotMatch(JSON.stringify(failed), /may quote/);
  const idle = await engine(
    [looks, step("act", { order: 2 })],
    ({ step: { id } }) =>
      id === "act" ? { state: "skipped", found: "it is sound", details: {}, byHand: [] } : done(),
  );
  const skipped = await idle.finish();
  assert.deepEqual([skipped.status, skipped.message], [
    "success",
    "Nothing to restore: it is sound",
  ]);
});

Deno.test("a step is tried again as often as it says, after growing pauses", async () => {
  const it = await engine([step("a", { retryCount: 2 })], (_context, tries) => {
    if (tries < 3) throw new BackupError("storage_unreachable", "Cannot: away");
    return done();
  });
  const execution = await it.finish();
  assert.deepEqual([execution.status, execution.steps[0]?.tries], ["success", 3]);
  assert.equal(execution.steps[0]?.durationMs, 2000 + 4000);
  const never = await engine([step("a", { retryCount: 2 })], () => {
    throw new BackupError("storage_unreachable", "Cannot: away");
  });
  const failed = await never.finish();
  assert.deepEqual([never.ran.length, failed.steps[0]?.tries, failed.status], [3, 3, "failed"]);
});

Deno.test("something in the way is waited for and counts as no try, until the step's time is over", async () => {
  const it = await engine([step("a")], (_context, tries) => {
    if (tries < 6) throw new BackupError("conflict", "Cannot start: backup job x is running");
    return done();
  });
  const execution = await it.finish();
  assert.deepEqual([execution.status, execution.steps[0]?.tries], ["success", 1]);
  const blocked = await engine([step("a")], () => {
    throw new BackupError("conflict", "Cannot start: backup job x is running");
  });
  const failed = await blocked.finish();
  assert.equal(failed.steps[0]?.error?.code, "step_timeout");
  assert.match(failed.steps[0]!.error!.message, /10 minutes; this was in its way: .*backup job x/);
  assert.ok(failed.steps[0]!.durationMs! <= 10.5 * 60_000);
});

Deno.test("a step that waits for a job holds no worker, and concludes when the job has ended", async () => {
  const it = await engine(
    [step("a", { timeout: 60 })],
    () => ({ state: "waiting", jobId: "restore_1", kind: "restore", found: "restores" }),
    {
      conclude: (_context, jobId) =>
        jobId === "restore_1"
          ? { state: "waiting", jobId: "restore_2", kind: "restore", found: "restores again" }
          : done(`after ${jobId}`),
    },
  );
  it.runningJob("restore_1");
  it.runningJob("restore_2");
  let looks = 0;
  const execution = await it.finish(() => {
    const { steps } = it.deps.recovery.executions.get(ID)!.execution;
    assert.equal(steps[0]!.status, "waiting");
    if (++looks === 5) it.jobs.get("restore_1")!.status = "completed";
    if (looks === 10) it.jobs.get("restore_2")!.status = "completed";
  });
  assert.deepEqual(it.ran, ["a"]);
  assert.deepEqual([execution.status, execution.message], ["success", "after restore_2"]);
  assert.deepEqual(
    [execution.steps[0]?.jobId, execution.steps[0]?.tries, it.cancelled],
    ["restore_2", 1, []],
  );
});

Deno.test("a job that was waited for and failed fails the step with its error", async () => {
  const it = await engine(
    [step("a")],
    () => ({ state: "waiting", jobId: "restore_1", kind: "restore", found: "restores" }),
  );
  const error = { code: "target_unfit", message: "Cannot restore: no" };
  Object.assign(it.runningJob("restore_1"), { status: "failed", error });
  const execution = await it.finish();
  assert.deepEqual([execution.status, execution.steps[0]?.error], ["failed", error]);
});

Deno.test("a job that lasts longer than all tries of its step is cancelled with the last one", async () => {
  const it = await engine(
    [step("a", { retryCount: 1 })],
    () => ({ state: "waiting", jobId: "restore_1", kind: "restore", found: "restores" }),
  );
  it.runningJob("restore_1");
  const execution = await it.finish();
  assert.deepEqual([execution.steps[0]?.error?.code, it.cancelled], ["step_timeout", [
    "restore_1",
  ]]);
  assert.ok(execution.durationMs! >= 20 * 60_000 && execution.durationMs! <= 21 * 60_000);
});

Deno.test("a step that does not listen is given up when its time is over", async () => {
  const running = Promise.withResolvers<void>();
  const it = await engine([step("a")], () => {
    running.resolve();
    return new Promise(() => {});
  });
  const taking = it.take((await it.claim())!);
  await running.promise;
  it.ring();
  await taking;
  const execution = await it.finish();
  assert.equal(execution.steps[0]?.error?.code, "step_timeout");
});

Deno.test("a worker that dies after a step's end and before it could say so: the step is not run again", async () => {
  const it = await engine(
    [step("a"), step("b", { order: 2 })],
    ({ step: { id } }) => done(`did ${id}`),
  );
  await it.take((await it.claim())!, { report: false });
  it.advance(LEASE_MS);
  const execution = await it.finish();
  assert.deepEqual(it.ran, ["a", "b"]);
  assert.equal(execution.status, "success");
});

Deno.test("a worker that dies within a step: the step is run again under the same key", async () => {
  const keys: string[] = [];
  const running = Promise.withResolvers<void>();
  const it = await engine([step("a"), step("b", { order: 2 })], ({ idempotencyKey }) => {
    keys.push(idempotencyKey);
    if (keys.length > 1) return done();
    running.resolve();
    return new Promise(() => {});
  });
  const lease = (await it.claim())!;
  const abort = new AbortController();
  const reason = new BackupError("interrupted", "the worker must end");
  const dying = it.worker().run(lease, it.context(lease, abort.signal));
  await running.promise;
  abort.abort(reason);
  await assert.rejects(dying, (error: unknown) => error === reason);
  it.advance(LEASE_MS);
  const execution = await it.finish();
  assert.equal(execution.status, "success");
  assert.deepEqual(keys, [`${ID}:a`, `${ID}:a`, `${ID}:b`]);
});

Deno.test("a late worker's end of a step does not replace the one that was written first", async () => {
  let at = 0;
  const it = await engine([step("a")], () => done(`end ${++at}`));
  const late = (await it.claim())!;
  await it.take(late, { report: false });
  it.advance(LEASE_MS);
  await it.take(late);
  const execution = await it.finish();
  assert.equal(execution.message, "end 1");
});

Deno.test("an execution that is cancelled has failed for that reason, and stops the job that it waits for", async () => {
  const it = await engine(
    [step("a"), step("b", { order: 2 })],
    () => ({ state: "waiting", jobId: "restore_1", kind: "restore", found: "restores" }),
  );
  it.runningJob("restore_1");
  await it.take((await it.claim())!);
  await it.store.cancel(ID);
  const execution = await it.finish();
  assert.deepEqual([execution.status, execution.error?.code], ["failed", "cancelled"]);
  assert.deepEqual(statuses(execution), { a: "failed", b: "not_run" });
  assert.deepEqual([it.cancelled, it.job.status], [["restore_1"], "cancelled"]);
  assert.equal(it.told.length, 1);
});

Deno.test("workers that are lost again and again end the execution, and its record says so", async () => {
  const it = await engine([step("a"), step("b", { order: 2 })], () => done());
  for (let lost = 0; lost < 8; lost++) {
    assert.ok(await it.claim());
    it.advance(LEASE_MS);
  }
  const execution = await it.finish();
  assert.deepEqual([execution.status, execution.error?.code], ["failed", "interrupted"]);
  assert.deepEqual([it.ran, it.job.status], [[], "failed"]);
});

Deno.test("without storage an execution runs all the same", async () => {
  const it = await engine([step("a"), step("b", { order: 2 })], () => done());
  it.deps.openRepository = () =>
    Promise.reject(new BackupError("storage_unreachable", "Cannot: away"));
  assert.equal((await it.finish()).status, "success");
});

Deno.test("details too long for a report are left out, and the report says so", async () => {
  const it = await engine([step("a")], () => ({
    ...{ state: "done", found: "much", byHand: ["Look at it."] },
    details: { list: "x".repeat(300_000) },
  }));
  const execution = await it.finish();
  assert.deepEqual(execution.steps[0]?.details, { tooLong: true });
  assert.deepEqual(execution.steps[0]?.byHand, ["Look at it."]);
});
