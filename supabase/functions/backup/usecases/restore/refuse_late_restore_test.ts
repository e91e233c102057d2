import assert from "node:assert/strict";
import { newJobId } from "../../core/ids.ts";
import { refuseLateRestore } from "./refuse_late_restore.ts";

Deno.test("a restore that was asked for more than a day ago does not begin any more", () => {
  const asked = new Date("2026-06-01T00:00:00Z");
  const jobId = newJobId("restore", asked, "database");
  const after = (hours: number) => new Date(asked.getTime() + hours * 3_600_000);
  refuseLateRestore(jobId, after(0));
  refuseLateRestore(jobId, after(24));
  refuseLateRestore(jobId, after(-48)); // a clock that is behind
  assert.throws(() => refuseLateRestore(jobId, after(25)), { code: "interrupted" });
  refuseLateRestore(newJobId("restore", new Date(0), "database"), after(25));
});
