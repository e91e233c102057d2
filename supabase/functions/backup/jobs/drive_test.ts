import assert from "node:assert/strict";
import type { Clock } from "../core/clock.ts";
import { createBudget } from "./budget.ts";
import { Drive, type DriveOptions } from "./drive.ts";

/** A clock whose sleeps end when the test says so, or at once. */
function clockOf({ instant }: { instant: boolean }) {
  const sleepers: (() => void)[] = [];
  const clock: Clock = {
    now: () => new Date(0),
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        if (instant) setTimeout(resolve, 0);
        else sleepers.push(resolve);
      }),
  };
  return { clock, wakeAll: () => sleepers.splice(0).forEach((wake) => wake()) };
}

/** A drive over a heap of parts that `work` takes one by one. */
function driveOver(heap: { left: number }, others: Partial<DriveOptions> = {}) {
  const calls: number[] = [];
  const errors: string[] = [];
  let worked = 0;
  const budget = createBudget({ cpuMs: null, wallMs: null, memoryBytes: null });
  const drive = new Drive({
    store: {
      waiting: () => Promise.resolve({ parts: heap.left, nextInMs: heap.left > 0 ? 0 : null }),
    },
    async work() {
      await Promise.resolve();
      if (heap.left === 0) return { parts: 0 };
      heap.left -= 1;
      worked += 1;
      return { parts: 1 };
    },
    budget,
    clock: clockOf({ instant: true }).clock,
    call: (depth) => Promise.resolve(void calls.push(depth)).then(() => ({ state: "started" })),
    maxWorkers: () => Promise.resolve(1),
    onError: (error) => void errors.push(error.message),
    ...others,
  });
  return { drive, budget, calls, errors, worked: () => worked };
}

Deno.test("Drive works until nothing waits, once at a time", async () => {
  const it = driveOver({ left: 3 });
  assert.equal(it.drive.wake(), "started");
  assert.equal(it.drive.wake(), "working");
  await it.drive.idle();
  assert.equal(it.worked(), 3);
  assert.deepEqual(it.calls, []);
});

Deno.test("Drive hands over when its budget ends and parts remain", async () => {
  const heap = { left: 5 };
  const it = driveOver(heap);
  const { budget } = it;
  const drive = driveOver(heap, {
    budget,
    work() {
      heap.left -= 1;
      if (heap.left === 2) budget.stop("cpu");
      return Promise.resolve({ parts: 1 });
    },
    call: (depth) => Promise.resolve(void it.calls.push(depth)).then(() => null),
  }).drive;
  drive.wake(7);
  await drive.idle();
  assert.deepEqual(it.calls, [8]);
  assert.equal(heap.left, 2);
  assert.equal(drive.wake(), "spent");
});

Deno.test("Drive passes nothing on when it has done nothing itself", async () => {
  const it = driveOver({ left: 1 }, {
    work: () => Promise.resolve({ parts: 0 }),
    store: { waiting: () => Promise.resolve({ parts: 4, nextInMs: 20_000 }) },
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(it.calls, []);
});

Deno.test("Drive calls as many workers as may work beside it while parts lie there", async () => {
  const heap = { left: 100 };
  const finish = Promise.withResolvers<void>();
  const it = driveOver(heap, {
    maxWorkers: () => Promise.resolve(4),
    async work() {
      await finish.promise;
      heap.left = 0;
      return { parts: 1 };
    },
    call(depth) {
      it.calls.push(depth);
      if (it.calls.length === 4) finish.resolve();
      // The second answer comes from a process that works already: it does not count.
      return Promise.resolve({ state: it.calls.length === 2 ? "working" : "started" });
    },
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(it.calls, [1, 1, 1, 1]);
});

Deno.test("Drive looks again for parts that came while its worker took its last look", async () => {
  const heap = { left: 1 };
  let looks = 0;
  const it = driveOver(heap, {
    store: {
      waiting() {
        looks += 1;
        if (looks === 1) {
          heap.left = 1; // comes too late to be seen in this answer
          it.drive.wake();
          return Promise.resolve({ parts: 0, nextInMs: null });
        }
        return Promise.resolve({ parts: heap.left, nextInMs: heap.left > 0 ? 0 : null });
      },
    },
  });
  it.drive.wake();
  await it.drive.idle();
  assert.equal(it.worked(), 2);
});

Deno.test("Drive reports what goes wrong beside the parts, and can be woken again", async () => {
  let broken = true;
  const heap = { left: 1 };
  const it = driveOver(heap, {
    store: {
      waiting() {
        if (broken) return Promise.reject(new Error("no tables"));
        return Promise.resolve({ parts: heap.left, nextInMs: heap.left > 0 ? 0 : null });
      },
    },
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(it.errors, ["no tables"]);
  broken = false;
  heap.left = 1;
  assert.equal(it.drive.wake(), "started");
  await it.drive.idle();
  assert.equal(heap.left, 0);
});

Deno.test("Drive does not spin on parts that it cannot take, and gives up after its patience", async () => {
  const pauses: number[] = [];
  const it = driveOver({ left: 1 }, {
    work: () => Promise.resolve({ parts: 0 }),
    clock: { now: () => new Date(0), sleep: (ms) => Promise.resolve(void pauses.push(ms)) },
    patienceMs: 1000,
  });
  it.drive.wake();
  await it.drive.idle();
  assert.deepEqual(pauses, [250, 250, 250, 250]);
});
