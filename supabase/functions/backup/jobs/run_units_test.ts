import assert from "node:assert/strict";
import { runUnits } from "./run_units.ts";

Deno.test("runUnits() gives results in the order of the units and keeps to its workers", async () => {
  let running = 0;
  let most = 0;
  const waiting: (() => void)[] = [];
  const all = runUnits([1, 2, 3, 4, 5], {
    workers: 2,
    run: async (unit, worker) => {
      assert.ok(worker === 0 || worker === 1);
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        // Release in pairs, the later one first: the order of ending must not matter.
        if (waiting.length === 2 || unit === 5) waiting.splice(0).reverse().forEach((go) => go());
      });
      running--;
      return unit * 10;
    },
  });
  assert.deepEqual(await all, [10, 20, 30, 40, 50]);
  assert.equal(most, 2);
});

Deno.test("runUnits() stops after the first failure, waits for what runs and throws that failure", async () => {
  const started: number[] = [];
  let settled = false;
  await assert.rejects(
    runUnits([1, 2, 3, 4], {
      workers: 2,
      run: async (unit, _worker, signal) => {
        started.push(unit);
        if (unit === 1) throw new Error("first");
        await new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener("abort", () => resolve());
        });
        settled = true;
        throw new Error("a consequence");
      },
    }),
    /first/,
  );
  assert.ok(settled);
  assert.deepEqual(started, [1, 2]);
});

Deno.test("runUnits() gives up with the caller's reason", async () => {
  const controller = new AbortController();
  const run = runUnits([1, 2, 3], {
    workers: 1,
    signal: controller.signal,
    run: (unit) => {
      if (unit === 2) controller.abort(new Error("enough"));
      return Promise.resolve(unit);
    },
  });
  await assert.rejects(run, /enough/);
});

Deno.test("runUnits() refuses to work without workers", async () => {
  await assert.rejects(runUnits([1], { workers: 0, run: () => Promise.resolve(1) }), RangeError);
});
