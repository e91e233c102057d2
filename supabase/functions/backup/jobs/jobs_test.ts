import assert from "node:assert/strict";
import { systemClock } from "../core/clock.ts";
import { newJob } from "../core/job.ts";
import { Jobs } from "./jobs.ts";
import { MemoryPartStore } from "./memory_part_store.ts";

Deno.test("Jobs.wait() waits no longer for a job when the clock is set back", async () => {
  const job = newJob({
    ...{ jobId: "backup_test", kind: "backup", type: "database", backupId: "backup_test" },
    ...{ reason: null, createdBy: null },
  }, new Date());
  let setByMs = 0;
  const jobs = new Jobs({
    tables: new MemoryPartStore(),
    isUnavailable: () => false,
    define: () => Promise.reject(new Error("nothing is done here")),
    read() {
      setByMs = -3_600_000;
      return Promise.resolve(job);
    },
    record: () => Promise.resolve({ recorded: true }),
    wake() {},
    clock: { ...systemClock, now: () => new Date(Date.now() + setByMs) },
    keepAlive() {},
    onError: (error) => assert.fail(error),
  });
  const giveUp = new AbortController();
  const waited = jobs.wait(job.jobId, 50);
  const long = systemClock.sleep(10_000, giveUp.signal).then(() => "too long", () => "stopped");
  assert.equal(await Promise.race([waited, long]), job);
  giveUp.abort();
});
