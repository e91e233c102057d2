import assert from "node:assert/strict";
import { systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { newJob } from "../core/job.ts";
import type { JobEnd, Lease, NewPart, PartOutcome } from "../core/part.ts";
import type { JobDefinition, PartContext } from "./job_definition.ts";
import { MemoryPartStore } from "./memory_part_store.ts";
import { runInProcess } from "./run_in_process.ts";
import { runWorker, type RunWorkerOptions } from "./run_worker.ts";

const JOB = {
  jobId: "backup_test",
  kind: "backup",
  type: "database",
  backupId: "backup_test",
  reason: null,
  createdBy: null,
} as const;

/** Time that passes when somebody waits. */
function quickClock() {
  let nowMs = 0;
  const slept: number[] = [];
  return {
    slept,
    nowMs: () => nowMs,
    advance: (ms: number) => void (nowMs += ms),
    clock: {
      now: () => new Date(nowMs),
      sleep(ms: number, signal?: AbortSignal) {
        // Hearts beat only when a test says so.
        if (ms === 5000) return new Promise<void>((_, reject) => onAbort(signal, reject));
        slept.push(ms);
        nowMs += ms;
        return Promise.resolve();
      },
    },
  };
}

function onAbort(signal: AbortSignal | undefined, reject: (reason: unknown) => void): void {
  if (signal?.aborted) reject(signal.reason);
  else signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
}

async function begin(definition: JobDefinition, { nowMs, maxAttempts = 3, maxRounds = 2 }: {
  nowMs: () => number;
  maxAttempts?: number;
  maxRounds?: number;
}) {
  const store = new MemoryPartStore({ nowMs });
  const job = newJob(JOB, new Date(0));
  const bounds = { maxWorkers: 4, maxAttempts, maxRounds };
  await store.begin(job, { parts: definition.first(), bounds, request: null });
  return { store, job };
}

function worker(
  definition: JobDefinition,
  options: Pick<RunWorkerOptions, "store" | "clock"> & Partial<RunWorkerOptions>,
) {
  const definitionOf = () => Promise.resolve(definition);
  return runWorker({ definitionOf, worker: "w", patienceMs: Infinity, ...options });
}

function part(name: string, step = 0, bytes = 0): NewPart {
  return { step, name, payload: null, bytes };
}

function define(
  first: NewPart[],
  run: (lease: Lease, context: PartContext) => Promise<PartOutcome> | PartOutcome,
  ends: JobEnd[] = [],
): JobDefinition {
  return {
    first: () => first,
    run: async (lease, context) => await run(lease, context),
    end: (how) => Promise.resolve(void ends.push(how)),
  };
}

const DONE: PartOutcome = { result: null, finish: { result: {} } };

Deno.test("runWorker() does parts side by side, a step after the other, and ends the job", async () => {
  const { clock, nowMs } = quickClock();
  const seen: string[] = [];
  const ends: JobEnd[] = [];
  let running = 0;
  let most = 0;
  const both = Promise.withResolvers<void>();
  const definition = define([part("a"), part("b"), part("c", 1)], async ({ name }, context) => {
    most = Math.max(most, ++running);
    if (running === 2) both.resolve();
    if (name !== "c") await both.promise;
    running--;
    seen.push(name);
    if (name !== "c") return { result: name };
    const before = await Array.fromAsync(context.results("a"));
    assert.deepEqual(before.map(({ result }) => result), ["a"]);
    return DONE;
  }, ends);
  const { store, job } = await begin(definition, { nowMs });
  const report = await worker(definition, { store, clock, concurrency: 2 });
  assert.deepEqual(seen.toSorted(), ["a", "b", "c"]);
  assert.equal(seen.at(-1), "c");
  assert.equal(most, 2);
  assert.equal(job.status, "completed");
  assert.deepEqual(ends, ["completed"]);
  assert.deepEqual(report, {
    partsDone: 4,
    stoppedBy: "idle",
    waiting: { parts: 0, nextInMs: null, workers: 0 },
  });
});

Deno.test("runWorker() tries again after passing errors, with longer and longer pauses", async () => {
  const { clock, nowMs, slept } = quickClock();
  const attempts: [number, string | null][] = [];
  const definition = define([part("a", 1)], ({ attempt, previous }) => {
    attempts.push([attempt, previous]);
    if (attempt === 4) return DONE;
    throw new BackupError("storage_unreachable", "Cannot reach it: no answer");
  });
  const { store, job } = await begin(definition, { nowMs, maxAttempts: 5 });
  await worker(definition, { store, clock });
  assert.equal(job.status, "completed");
  const code = "storage_unreachable";
  assert.deepEqual(attempts, [[1, null], [2, code], [3, code], [4, code]]);
  assert.deepEqual(slept, [500, 1000, 2000]);
});

Deno.test("runWorker() tries a job's first step three times: who asks wants to hear soon", async () => {
  const { clock, nowMs, slept } = quickClock();
  const definition = define([part("a")], () => {
    throw new BackupError("database_unreachable", "Cannot reach it: no answer");
  });
  const { store, job } = await begin(definition, { nowMs, maxAttempts: 8 });
  await worker(definition, { store, clock });
  assert.equal(job.status, "failed");
  assert.equal(job.error?.code, "database_unreachable");
  assert.deepEqual(slept, [500, 1000]);
});

Deno.test("runWorker() fails a job on what will not pass, and tells defects to the log", async () => {
  const { clock, nowMs } = quickClock();
  const told: string[] = [];
  const ends: JobEnd[] = [];
  const definition = define([part("a")], () => {
    throw new TypeError("a defect that quotes 42");
  }, ends);
  const { store, job } = await begin(definition, { nowMs });
  await worker(definition, { store, clock, onError: (error) => told.push(error.message) });
  assert.equal(job.status, "failed");
  assert.equal(job.error?.code, "internal");
  assert.ok(!JSON.stringify(job).includes("42"));
  assert.deepEqual(told, ["a defect that quotes 42"]);
  assert.deepEqual(ends, ["failed"]);
});

Deno.test("runWorker() begins again when the moment is lost, and stops the parts beside", async () => {
  const { clock, nowMs } = quickClock();
  const ends: JobEnd[] = [];
  const stopped: boolean[] = [];
  const definition = define([part("a"), part("b")], async ({ name, round }, { signal }) => {
    if (round === 2) return name === "a" ? { result: null } : DONE;
    if (name === "a") throw new BackupError("snapshot_lost", "Cannot go on: it is gone");
    await new Promise((_, reject) => onAbort(signal, reject)).catch(() => stopped.push(true));
    throw signal.reason;
  }, ends);
  const { store, job } = await begin(definition, { nowMs });
  await worker(definition, { store, clock, concurrency: 2 });
  assert.equal(job.status, "completed");
  assert.deepEqual(stopped, [true]);
  assert.deepEqual(ends, ["begins-again", "completed"]);
});

Deno.test("runWorker() does not do twice what must be done once", async () => {
  const { clock, nowMs, advance } = quickClock();
  let runs = 0;
  const definition: JobDefinition = {
    ...define([part("whole")], () => {
      runs += 1;
      throw new BackupError("database_unreachable", "Cannot commit: no answer");
    }),
    once: ["whole"],
  };
  const first = await begin(definition, { nowMs });
  await worker(definition, { store: first.store, clock });
  assert.equal(first.job.error?.code, "database_unreachable");
  assert.equal(runs, 1);

  const second = await begin(definition, { nowMs });
  await second.store.claim({ worker: "killed", leaseMs: 1000 });
  advance(1001);
  await worker(definition, { store: second.store, clock });
  assert.equal(second.job.error?.code, "interrupted");
  assert.equal(runs, 1);
});

Deno.test("runWorker() does no part of a job that an older release began, and begins what may again", async () => {
  const { clock, nowMs } = quickClock();
  const older = [part("of the older release")];
  const seen: string[] = [];
  const ends: JobEnd[] = [];
  const run = ({ name }: Lease) => {
    seen.push(name);
    return DONE;
  };
  for (const beginsAnew of [true, false]) {
    const begun = await begin(define(older, run), { nowMs });
    const claim = async (options: Parameters<typeof begun.store.claim>[0]) => {
      const lease = await begun.store.claim(options);
      const isOlders = lease?.round === 1 && lease.name !== "end";
      return isOlders ? { ...lease, begunBy: "older" as const } : lease;
    };
    const store = new Proxy(begun.store, {
      get: (target, name: keyof MemoryPartStore) =>
        name === "claim" ? claim : (target[name] as () => unknown).bind(target),
    });
    const definition = { ...define([part("of this release")], run, ends), beginsAnew };
    await worker(definition, { store, clock });
    assert.equal(begun.job.status, beginsAnew ? "completed" : "failed");
    assert.equal(begun.job.error?.code, beginsAnew ? undefined : "other_release");
    if (!beginsAnew) assert.match(begun.job.error!.message, /older release began it/);
  }
  assert.deepEqual(seen, ["of this release"]);
  assert.deepEqual(ends, ["begins-again", "completed", "failed"]);
});

Deno.test("runWorker() stops before a part that its budget does not allow, and gives it back", async () => {
  const { clock, nowMs } = quickClock();
  const done: number[] = [];
  const definition = define(
    [part("a", 0, 10), part("a", 0, 20), part("a", 0, 500)],
    ({ bytes }) => {
      done.push(bytes);
      return { result: null };
    },
  );
  const { store } = await begin(definition, { nowMs });
  const entered: number[] = [];
  const budget = {
    signal: new AbortController().signal,
    allows: ({ bytes }: { bytes: number }) => bytes < 100,
    enter: (next?: { bytes: number }) => {
      entered.push(next!.bytes);
      return { [Symbol.dispose]() {} };
    },
  };
  const report = await worker(definition, { store, clock, budget });
  assert.deepEqual(done, [10, 20]);
  assert.deepEqual(entered, [10, 20]);
  assert.equal(report.stoppedBy, "budget");
  assert.deepEqual(report.waiting, { parts: 1, nextInMs: 0, workers: 0 });
  const lease = await store.claim({ worker: "next", leaseMs: 1000 });
  assert.deepEqual([lease?.bytes, lease?.attempt], [500, 1]);
});

Deno.test("runWorker() gives its parts back when the platform ends it", async () => {
  const { clock, nowMs } = quickClock();
  const platform = new AbortController();
  const definition = define([part("a")], (_lease, { signal }) => {
    platform.abort(new Error("the platform ends this worker"));
    assert.ok(signal.aborted);
    throw signal.reason;
  });
  const { store } = await begin(definition, { nowMs });
  const budget = {
    signal: platform.signal,
    allows: () => true,
    enter: () => ({ [Symbol.dispose]() {} }),
  };
  const report = await worker(definition, { store, clock, budget });
  assert.deepEqual(report.waiting, { parts: 1, nextInMs: 0, workers: 0 });
  assert.equal((await store.claim({ worker: "next", leaseMs: 1000 }))?.attempt, 1);
});

Deno.test("runWorker() counts a try whose worker was used up: the part may be the cause", async () => {
  const { clock, nowMs } = quickClock();
  const platform = new AbortController();
  const definition = define([part("a")], (_lease, { signal }) => {
    platform.abort(new BackupError("interrupted", "Cannot go on: the worker's CPU is used up"));
    throw signal.reason;
  });
  const { store } = await begin(definition, { nowMs });
  const budget = {
    signal: platform.signal,
    allows: () => true,
    enter: () => ({ [Symbol.dispose]() {} }),
  };
  await worker(definition, { store, clock, budget });
  const lease = await store.claim({ worker: "next", leaseMs: 1000 });
  assert.deepEqual([lease?.attempt, lease?.previous], [2, "interrupted"]);
});

Deno.test("runWorker() believes after six tries that no worker has room for a part", async () => {
  const { clock, nowMs } = quickClock();
  let tries = 0;
  const definition = define([part("a", 1)], () => {
    tries++;
    throw new BackupError("over_budget", "Cannot do it: too large");
  });
  const { store, job } = await begin(definition, { nowMs, maxAttempts: 8 });
  await worker(definition, { store, clock });
  assert.equal(tries, 6);
  assert.equal(job.error?.code, "over_budget");
});

Deno.test("runWorker() stops a part that is cancelled, or not its own any more, with a heartbeat", async () => {
  for (const how of ["cancelled", "lost"]) {
    const { nowMs, advance } = quickClock();
    const beat = Promise.withResolvers<void>();
    let beats = 0;
    const clock = {
      now: () => new Date(nowMs()),
      sleep: (_ms: number, signal?: AbortSignal) => {
        const ended = new Promise<void>((_, reject) => onAbort(signal, reject));
        return beats++ === 0 ? Promise.race([beat.promise, ended]) : ended;
      },
    };
    const reasons: unknown[] = [];
    const started = Promise.withResolvers<void>();
    const definition = define([part("a")], async (_lease, { signal }) => {
      started.resolve();
      await new Promise((_, reject) => onAbort(signal, reject)).catch((reason) => {
        reasons.push(reason instanceof BackupError ? reason.code : reason);
      });
      return DONE; // it may well not heed the signal
    });
    const { store, job } = await begin(definition, { nowMs });
    const run = worker(definition, { store, clock, patienceMs: 0 });
    await started.promise;
    if (how === "cancelled") await store.cancel(job.jobId);
    else {
      advance(20_000);
      await store.claim({ worker: "another", leaseMs: 60_000 });
    }
    beat.resolve();
    await run;
    assert.deepEqual(reasons, [how === "cancelled" ? "cancelled" : "interrupted"]);
    // What was done in spite of a wish to cancel counts; what another worker holds does not.
    assert.equal(job.status, how === "cancelled" ? "completed" : "running");
  }
});

Deno.test("runInProcess() gives the finished job, tells progress and throws what was thrown", async () => {
  const phases: string[] = [];
  const good = define(
    [part("first-things"), part("moving", 1, 100)],
    ({ name }, { onProgress }) => {
      if (name === "first-things") return { result: null };
      onProgress({ bytesDone: 60, phase: "moving on" });
      return { result: null, finish: { result: { ok: true }, sizeBytes: 7 } };
    },
  );
  const options = { job: JOB, clock: systemClock, concurrency: 1 };
  const job = await runInProcess(good, {
    ...options,
    onProgress: ({ phase, partsDone, bytesDone }) =>
      phases.push(`${phase} ${partsDone} ${bytesDone}`),
  });
  assert.deepEqual([job.status, job.sizeBytes, job.result], ["completed", 7, { ok: true }]);
  assert.ok(phases.includes("moving on 1 60"), phases.join("; "));
  assert.equal(phases.at(-1), "moving on 2 100");

  const cause = new BackupError("damaged_source", "Cannot read it: it is broken", {
    cause: new Error("why"),
  });
  const bad = define([part("a")], () => {
    throw cause;
  });
  await assert.rejects(runInProcess(bad, options), (error) => error === cause);
});

Deno.test("runInProcess() is cancelled by its signal, and what it held is freed", async () => {
  const stop = new AbortController();
  const ends: JobEnd[] = [];
  const definition = define([part("a")], async (_lease, { signal }) => {
    stop.abort();
    return await new Promise<never>((_, reject) => onAbort(signal, reject));
  }, ends);
  const run = runInProcess(definition, {
    job: JOB,
    clock: systemClock,
    concurrency: 1,
    signal: stop.signal,
  });
  await assert.rejects(run, { code: "cancelled" });
  assert.deepEqual(ends, ["cancelled"]);
});
