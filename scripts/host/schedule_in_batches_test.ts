import assert from "node:assert/strict";
import { scheduleInBatches } from "./schedule_in_batches.ts";

/** The field `policy` of proc(5); 3 is SCHED_BATCH. */
function policyOfThisThread(): string {
  const stat = Deno.readTextFileSync("/proc/thread-self/stat");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[38]!;
}

const ignore = Deno.build.os !== "linux";

Deno.test({
  name: `a thread is scheduled in batches once it asks for it${ignore ? " (not Linux)" : ""}`,
  ignore,
  sanitizeResources: false, // the library stays loaded, as in a thread
  fn() {
    assert.equal(scheduleInBatches(), true);
    assert.equal(policyOfThisThread(), "3");
  },
});
