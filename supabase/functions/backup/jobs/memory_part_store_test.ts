import { testPartStore } from "../../../../tests/support/part_store_suite.ts";
import { MemoryPartStore } from "./memory_part_store.ts";

testPartStore("memory", () => {
  let nowMs = 0;
  const store = new MemoryPartStore({ nowMs: () => nowMs });
  return Promise.resolve({
    store,
    advance: (ms) => void (nowMs += ms),
    job: (jobId) => Promise.resolve(store.get(jobId)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
