import assert from "node:assert/strict";
import type { Clock } from "../core/clock.ts";
import { createBudget } from "./budget.ts";
import { Drive, type DriveOptions } from "./drive.ts";
import type { WorkerReport } from "./run_worker.ts";

/** A clock whose sleeps are one turn of the event loop. */
const instant: Clock = {
  now: () => new Date(0),
  sleep: (_ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      setTimeout(resolve, 0);
    }),
};

/** A drive over a heap of parts that `work` takes one by one. */
function driveOver(heap: { left: number }, others: Partial<DriveOptions> = {}) {
  const calls: number[] = [];
  const errors: string[] = [];
  let worked = 0;
  const budget = createBudget({ cpuMs: null, wallMs: null, memoryBytes: null });
  const waiting = () => ({ parts: heap.left, nextInMs: heap.left > 0 ? 0 : null, workers: 1 });
  const report = (partsDone: number, stoppedBy: WorkerReport["stoppedBy"] = "idle") => ({
    partsDone,
    stoppedBy,
    waiting: waiting(),
  });
  const drive = new Drive({
    store: { waiting: () => Promise.resolve(waiting()) },
    async work() {
      await Promise.resolve();
      if (heap.left === 0) return report(0);
      heap.left -= 1;
      worked += 1;
      return report(1);
    },
    budget,
    clock: instant,
    call: (depth) => Promise.resolve(void calls.push(depth)).then(() => ({ state: "started" })),
    maxWorkers: () => Promise.resolve(1),
    onError: (error) => void errors.push(error.message),
    ...others,
  });
  return { drive, budget, calls, errors, report, worked: () => worked };
}

Deno.test("Drive works until nothing waits, once at a time", async () => {
  const it = driveOver({ left: 3 });
  assert.equal(it.drive.wake(), "started");
  assert.equal(it.drive.wake(), "working");
  await it.drive.idle();
  assert.equal(it.worked(), 3);
  assert.deepEqual(it.calls, []);
});

Deno.test("Drive tells the platform of its work, so that the process lives to its end", async () => {
  const kept: Promise<unknown>[] = [];
  const it = driveOver({ left: 2 }, { waitUntil: (work) => void kept.push(work) });
  it.drive.wake();
  assert.equal(kept.length, 1);
  await kept[0];
  assert.equal(it.worked(), 2);
});

Deno.test("Drive hands over when the budget allows no part that waits", async () => {
  const it = driveOver({ left: 2 }, {
    work: () => Promise.resolve(it.report(0, "budget")),
  });
  it.drive.wake(7);
  await it.drive.idle();
  assert.deepEqual(it.calls, [8]);
});

Deno.test("Drive hands over when the platform ends the process, and begins nothing more", async () => {
  const it = driveOver({ left: 5 }, {
    work() {
      it.budget.stop("cpu");
      return Promise.resolve(it.report(1, "budget"));
    },
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(it.calls, [1]);
  assert.equal(it.drive.wake(), "spent");
  it.drive.begin(); // a job that is started here has to be somebody else's
  assert.deepEqual(it.calls, [1, 1]);
});

Deno.test("Drive hands nothing over when it has only waited", async () => {
  const it = driveOver({ left: 1 }, {
    work: () =>
      Promise.resolve({ ...it.report(0), waiting: { parts: 4, nextInMs: 20_000, workers: 1 } }),
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(it.calls, []);
});

Deno.test("Drive calls as many workers as may work beside it while parts lie there", async () => {
  const heap = { left: 100 };
  let workers = 1;
  const finish = Promise.withResolvers<void>();
  const it = driveOver(heap, {
    maxWorkers: () => Promise.resolve(4),
    store: {
      waiting() {
        if (workers === 4) finish.resolve();
        return Promise.resolve({ parts: heap.left, nextInMs: 0, workers });
      },
    },
    async work() {
      await finish.promise;
      heap.left = 0;
      return it.report(1);
    },
    call(depth) {
      it.calls.push(depth);
      // The second call meets a process that works already: no worker comes of it.
      if (it.calls.length !== 2) workers += 1;
      return Promise.resolve({ state: it.calls.length === 2 ? "working" : "started" });
    },
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(it.calls, [1, 1, 1, 1]);
});

Deno.test("Drive looks again for parts that came while its worker took its last look", async () => {
  const heap = { left: 0 };
  let looks = 0;
  const it = driveOver(heap, {
    work() {
      looks += 1;
      const nothing = it.report(0);
      if (looks === 1) it.drive.wake(); // what it is woken for is not in the answer
      return Promise.resolve(nothing);
    },
  });
  it.drive.wake();
  await it.drive.idle();
  assert.equal(looks, 2);
});

Deno.test("Drive reports what goes wrong beside the parts, and can be woken again", async () => {
  let broken = true;
  const it = driveOver({ left: 1 }, {
    work() {
      if (broken) return Promise.reject(new Error("no tables"));
      return Promise.resolve({
        ...it.report(1),
        waiting: { parts: 0, nextInMs: null, workers: 0 },
      });
    },
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(it.errors, ["no tables"]);
  broken = false;
  assert.equal(it.drive.wake(), "started");
  await it.drive.idle();
  assert.equal(it.errors.length, 1);
});

Deno.test("Drive looks ever more seldom for parts that it cannot take, and gives up after its patience", async () => {
  const pauses: number[] = [];
  const it = driveOver({ left: 1 }, {
    work: () => Promise.resolve(it.report(0)),
    clock: { now: () => new Date(0), sleep: (ms) => Promise.resolve(void pauses.push(ms)) },
    patienceMs: 4000,
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(pauses, [250, 500, 1000, 2000, 2000]);
});

Deno.test("Drive's end does what can be done and waits for nothing more", async () => {
  const heap = { left: 3 };
  let looked: () => void = () => {};
  const waits = new Promise<void>((resolve) => looked = resolve);
  const it = driveOver(heap, {
    async work() {
      await Promise.resolve();
      const partsDone = heap.left > 0 ? 1 : 0;
      heap.left -= partsDone;
      if (heap.left === 0) looked();
      return {
        ...it.report(partsDone),
        waiting: { parts: 1, nextInMs: heap.left > 0 ? 0 : 5000, workers: 1 },
      };
    },
    clock: {
      now: () => new Date(0),
      sleep: (_ms, signal) =>
        new Promise((_resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason);
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    },
  });
  it.drive.wake();
  await waits;
  await it.drive.end();
  assert.equal(heap.left, 0);
  assert.equal(it.drive.wake(), "spent");
});
