import assert from "node:assert/strict";
import { countWork } from "../core/work_count.ts";
import { openCpuMeter, SampledMeter } from "./cpu_meter.ts";

/** Holds the thread; what is tested is that the meter sees it, not how long it takes. */
function holdThread(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

Deno.test("SampledMeter sees that the thread was held", async () => {
  const meter = new SampledMeter();
  meter.start();
  holdThread(200);
  await new Promise((resolve) => setTimeout(resolve, 0)); // one turn of the event loop
  meter.pause();
  assert.ok(meter.ms() >= 150, `${meter.ms()} ms`);
});

Deno.test("SampledMeter counts at least what the work that passed through must cost", () => {
  const meter = new SampledMeter();
  const kinds = [
    ["storage", 100],
    ["socket", 100],
    ["sent", 500],
    ["driver", 100],
    ["request", 100],
  ] as const;
  for (const [kind, least] of kinds) {
    const before = meter.ms();
    for (let i = 0; i < 100; i++) countWork(kind, 1e6);
    assert.ok(meter.ms() - before >= least, kind);
  }
});

Deno.test("SampledMeter counts nothing while it is paused", () => {
  const meter = new SampledMeter();
  meter.start();
  meter.pause();
  const before = meter.ms();
  holdThread(50);
  meter.pause();
  assert.equal(meter.ms(), before);
});

Deno.test("openCpuMeter's choice sees that the thread was held", async () => {
  const meter = openCpuMeter();
  const before = meter.ms();
  meter.start();
  holdThread(200);
  await new Promise((resolve) => setTimeout(resolve, 0));
  meter.pause();
  assert.ok(meter.ms() - before >= 100, `${meter.ms() - before} ms`);
});
