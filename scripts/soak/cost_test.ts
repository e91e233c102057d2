import assert from "node:assert/strict";
import { type CostBySize, growthOf } from "./cost.ts";
import { costPlot, costTable } from "./cost_report.ts";

/** A size of which every figure is `cost` for each gigabyte, over a fixed part. */
function size(gigabytes: number, cost = 100): CostBySize {
  const figure = 10 + cost * gigabytes;
  const job = {
    ...{ seconds: figure, cpuSeconds: figure, invocations: figure, serverCalls: figure },
    ...{ storageCalls: figure, overLimit: 0 },
  };
  return {
    ...{ databaseBytes: gigabytes * 1e9, rawBytes: gigabytes * 1e9, storedBytes: figure },
    ...{ peakMemoryBytes: 80e6, peakResidentBytes: 180e6, backup: job, restore: job },
  };
}

Deno.test("growthOf() calls cost proportional that has a fixed part", () => {
  const growth = growthOf([size(0.01), size(0.1), size(1), size(10)]);
  assert.ok(growth.length > 0);
  for (const { figure, before, after, within } of growth) {
    assert.ok(within, `${figure}: ${before}, ${after}`);
    assert.ok(Math.abs(before - 100) < 1e-6);
  }
});

Deno.test("growthOf() finds what grows by more than 15 percent faster, and needs three sizes", () => {
  const growth = growthOf([size(0.1), size(1), size(10, 120)]);
  assert.deepEqual(new Set(growth.map(({ within }) => within)), new Set([false]));
  assert.deepEqual(growthOf([size(1), size(10)]), []);
});

Deno.test("growthOf() compares from tenth to tenth, whatever lies between", () => {
  const growth = growthOf([size(0.1), size(0.3, 500), size(1), size(3, 500), size(10)]);
  assert.deepEqual(new Set(growth.map(({ after }) => Math.round(after))), new Set([100]));
  assert.deepEqual(new Set(growth.map(({ before }) => Math.round(before))), new Set([100]));
});

Deno.test("costTable() has a line for each job and costPlot() a point for each figure", () => {
  const sizes = [size(0.01), size(1)];
  const lines = costTable(sizes).split("\n");
  assert.equal(lines.length, 2 + 4);
  assert.match(lines[4]!, /^\| 1000 MB \| backup \| 110\.0 \| 110\.0 \|/);
  const plot = costPlot(sizes);
  assert.equal(plot.match(/<circle /g)?.length, 2 * 6);
  assert.doesNotMatch(plot, /NaN|Infinity/);
});
