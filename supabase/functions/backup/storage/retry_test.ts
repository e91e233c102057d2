import assert from "node:assert/strict";
import { bytes, isCode, names, testStorage } from "../../../../tests/support/storage_suite.ts";
import type { Clock } from "../core/clock.ts";
import { type Fault, faultyStorage } from "./faulty.ts";
import { memoryStorage } from "./memory.ts";
import { retryStorage } from "./retry.ts";

/** A clock on which waiting takes no time and is written down. */
function quickClock(waits: number[] = []): Clock {
  return {
    now: () => new Date(0),
    sleep: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  };
}

testStorage("retryStorage(faultyStorage())", () => {
  const faulty = faultyStorage(memoryStorage(), ({ index }) => index % 2 === 0 ? "error" : null);
  return Promise.resolve({ storage: retryStorage(faulty, { clock: quickClock() }) });
});

Deno.test("retryStorage() gives up after its tries, waiting longer each time", async () => {
  const waits: number[] = [];
  const faulty = faultyStorage(memoryStorage(), () => "error");
  const storage = retryStorage(faulty, { tries: 4, firstDelayMs: 100, clock: quickClock(waits) });
  await assert.rejects(storage.put("a", bytes(1)), isCode("storage_unreachable"));
  assert.equal(waits.length, 3);
  waits.forEach((ms, i) => assert.ok(ms >= 50 * 2 ** i && ms <= 100 * 2 ** i, `wait ${i}: ${ms}`));
});

Deno.test("retryStorage() does not repeat a refusal", async () => {
  let calls = 0;
  const faulty = faultyStorage(memoryStorage(), () => {
    calls++;
    return "refused";
  });
  const storage = retryStorage(faulty, { clock: quickClock() });
  await assert.rejects(storage.get("a"), isCode("storage_refused"));
  assert.equal(calls, 1);
});

Deno.test("retryStorage() finds an object stored whose answer was lost", async () => {
  const inner = memoryStorage();
  const faults: (Fault | null)[] = ["lost-answer", null];
  const storage = retryStorage(faultyStorage(inner, () => faults.shift() ?? null), {
    clock: quickClock(),
  });
  assert.deepEqual(await storage.put("a", bytes(9)), { created: false });
  assert.deepEqual(await storage.get("a"), bytes(9));
});

Deno.test("retryStorage() goes on with a listing that was cut, without telling a name twice", async () => {
  const inner = memoryStorage();
  for (const name of ["a", "b", "c"]) await inner.put(name, bytes(1));
  const faults: (Fault | null)[] = ["cut", "error", null];
  const storage = retryStorage(faultyStorage(inner, () => faults.shift() ?? null), {
    clock: quickClock(),
  });
  assert.deepEqual(await names(storage, ""), ["a", "b", "c"]);
});
