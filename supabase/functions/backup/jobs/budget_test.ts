import assert from "node:assert/strict";
import {
  type BudgetSources,
  createBudget,
  stopBeforeUnload,
  type WorkerLimits,
  workerLimits,
} from "./budget.ts";

const HOSTED: WorkerLimits = { cpuMs: 2000, wallMs: 150_000, memoryBytes: 256e6 };
const MB = 1_000_000;

/** A process whose measurements the test sets. */
function process(): BudgetSources & { cpu: number; wall: number; memory: number; on: boolean } {
  const it = {
    cpu: 0,
    wall: 200,
    memory: 30 * MB,
    on: false,
    meter: {
      ms: () => it.cpu,
      start: () => void (it.on = true),
      pause: () => void (it.on = false),
    },
    wallMs: () => it.wall,
    memoryBytes: () => it.memory,
  };
  return it;
}

Deno.test("budget counts loading the modules as CPU, as far as it can have been", () => {
  const early = process();
  assert.equal(createBudget(HOSTED, early).spent().cpuMs, 200);
  const late = process();
  late.wall = 90_000;
  assert.equal(createBudget(HOSTED, late).spent().cpuMs, 300);
  const exact = process();
  exact.cpu = 150; // a thread clock has counted the loading itself
  assert.equal(createBudget(HOSTED, exact).spent().cpuMs, 200);
});

Deno.test("budget allows the first part of a fresh worker whatever its size", () => {
  assert.equal(createBudget(HOSTED, process()).allows({ bytes: 1000 * MB }), true);
});

Deno.test("budget refuses a part that the last ones show to be too dear", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  const part = budget.enter({ bytes: 8 * MB });
  it.cpu = 900; // over 100 ms per megabyte, and 200 for loading the modules
  part[Symbol.dispose]();
  assert.equal(budget.allows({ bytes: 4 * MB }), true);
  assert.equal(budget.allows({ bytes: 8 * MB }), false);
  it.cpu = 1400;
  assert.equal(budget.allows({ bytes: 8 * MB }), false);
  assert.equal(budget.allows({ bytes: 0 }), true);
});

Deno.test("budget allows one part, however dear the last ones seemed, while the platform would send another request here", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  const part = budget.enter({ bytes: MB });
  it.cpu = 790;
  part[Symbol.dispose]();
  assert.equal(budget.allows({ bytes: 8 * MB }), true);
  using _running = budget.enter({ bytes: 8 * MB });
  assert.equal(budget.allows({ bytes: 0 }), false);
});

Deno.test("budget leaves a part that would end a worker with something behind it to a new one", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  const part = budget.enter({ bytes: 0 });
  it.cpu = 300;
  part[Symbol.dispose]();
  assert.equal(budget.allows({ bytes: 100 * MB }), true, "nothing to speak of is behind it");
  it.cpu = 301;
  assert.equal(budget.allows({ bytes: 100 * MB }), false);
  it.cpu = 790; // with 200 for loading the modules 10 ms less than half
  assert.equal(budget.allows({ bytes: 10 * MB }), true);
  assert.equal(budget.allows({ bytes: 11 * MB }), false);
  budget.arrived();
  assert.equal(budget.allows({ bytes: 11 * MB }), false);
});

Deno.test("budget begins a large part after all when no new worker comes for it", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  const largeAfter = () => {
    budget.enter({ bytes: 0 })[Symbol.dispose]();
    let left = 0;
    for (; !budget.allows({ bytes: 12 * MB }); left++) {
      it.cpu += 30; // a call that nothing comes of
      budget.arrived();
    }
    return left;
  };
  it.cpu = 790; // with 200 for loading the modules 10 ms less than half
  assert.equal(largeAfter(), 5);
  assert.equal(largeAfter(), 5, "counted anew after each part");
});

Deno.test("budget believes the platform that sends a request more than its own estimate", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  it.cpu = 1600;
  assert.equal(budget.allows({ bytes: MB }), false);
  budget.arrived();
  assert.equal(budget.spent().cpuMs, 1000);
  assert.equal(budget.allows({ bytes: MB }), true);
  it.cpu = 1700;
  assert.equal(budget.spent().cpuMs, 1100);
  budget.arrived();
  assert.equal(budget.spent().cpuMs, 1000);
});

Deno.test("budget allows a part, however dear the last ones seemed, right after a request was sent here", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  const part = budget.enter({ bytes: 0 });
  it.cpu = 1400;
  part[Symbol.dispose]();
  assert.equal(budget.allows({ bytes: 0 }), false);
  budget.arrived();
  it.cpu += 60; // the answer, and looking for a part
  assert.equal(budget.allows({ bytes: 0 }), true);
  it.cpu += 100;
  assert.equal(budget.allows({ bytes: 0 }), false);
});

Deno.test("budget reserves for the parts that run", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  using _first = budget.enter({ bytes: 24 * MB });
  using _second = budget.enter({ bytes: 24 * MB });
  assert.equal(budget.allows({ bytes: 24 * MB }), false);
});

Deno.test("budget refuses at the end of the wall clock and of the memory", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  budget.enter({ bytes: MB })[Symbol.dispose]();
  it.memory = 200 * MB;
  assert.equal(budget.allows({ bytes: 16 * MB }), false);
  it.memory = 100 * MB;
  assert.equal(budget.allows({ bytes: 16 * MB }), true);
  it.wall = 124_000;
  assert.equal(budget.allows({ bytes: 0 }), false);
});

Deno.test("budget starts no part that would take longer than what is left of the wall clock", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  const part = budget.enter({ bytes: MB });
  it.wall += 50_000;
  part[Symbol.dispose]();
  assert.equal(budget.allows({ bytes: MB }), true);
  it.wall = 60_000;
  assert.equal(budget.allows({ bytes: MB }), false);
});

Deno.test("budget without limits allows everything until it is stopped", () => {
  const it = process();
  const budget = createBudget({ cpuMs: null, wallMs: null, memoryBytes: null }, it);
  it.cpu = it.wall = it.memory = 1e12;
  assert.equal(budget.allows({ bytes: 1e12 }), true);
  budget.stop("enough");
  assert.equal(budget.allows({ bytes: 0 }), false);
  assert.match(String(budget.signal.reason), /enough/);
});

Deno.test("budget runs its meter only while something has entered", () => {
  const it = process();
  const budget = createBudget(HOSTED, it);
  const request = budget.enter();
  const part = budget.enter({ bytes: MB });
  request[Symbol.dispose]();
  request[Symbol.dispose](); // twice is once
  assert.equal(it.on, true);
  part[Symbol.dispose]();
  assert.equal(it.on, false);
});

Deno.test("stopBeforeUnload stops at the platform's event, not at Deno's own", () => {
  const budget = createBudget(HOSTED, process());
  stopBeforeUnload(budget);
  globalThis.dispatchEvent(new Event("beforeunload"));
  assert.equal(budget.signal.aborted, false);
  globalThis.dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "cpu" } }));
  assert.equal(budget.signal.aborted, true);
  assert.match(String(budget.signal.reason), /cpu/);
  assert.equal(budget.signal.reason.code, "interrupted");
});

Deno.test("stopBeforeUnload does not say that time was used up by what runs", () => {
  const budget = createBudget(HOSTED, process());
  stopBeforeUnload(budget);
  globalThis.dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "wall_clock" } }));
  assert.equal(budget.signal.reason.code, undefined);
});

Deno.test("workerLimits are the platform's when hosted, none on a host, and what is set anywhere", () => {
  const none = { cpuMs: null, wallMs: null, memoryBytes: null };
  assert.deepEqual(workerLimits({}, { hosted: false }), none);
  assert.deepEqual(workerLimits({}, { hosted: true }), {
    cpuMs: 2000,
    wallMs: 150_000,
    memoryBytes: 256 * 1024 * 1024,
  });
  assert.equal(workerLimits({ workerWallSeconds: 400 }, { hosted: true }).wallMs, 400_000);
  assert.equal(workerLimits({ workerCpuSeconds: 1 }, { hosted: false }).cpuMs, 1000);
});
