import assert from "node:assert/strict";
import type { Entry } from "../../core/model.ts";
import { createRepository } from "../../repository/mod.ts";
import { memoryStorage } from "../../storage/memory.ts";
import { withInactiveCronJobs } from "./inactive_cron_jobs.ts";

const ID = "(SELECT pg_catalog.max(jobid) FROM cron.job WHERE jobname OPERATOR(pg_catalog.=) 'a')";

function job(create: string[]): Partial<Entry> {
  const drop = ["SET ROLE me", `SELECT cron.unschedule(${ID})`, "RESET ROLE"];
  const statements = { create, drop, owner: [], comment: [], label: [], acl: [] };
  return { kind: "cron-job", statements };
}

Deno.test("withInactiveCronJobs() switches every job off once and leaves all else alone", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const schedule = "SELECT cron.schedule('a', '* * * * *', 'select 1')";
  const off = `SELECT cron.alter_job(${ID}, active := false)`;
  const table = { ...job([schedule]), kind: "table" };
  const lines = [job(["SET ROLE me", schedule, "RESET ROLE"]), job([schedule, off]), table, {
    a: 1,
  }];
  const ref = await repository.writeLines(lines);
  const seen = await Array.fromAsync(withInactiveCronJobs(repository).readLines<Entry>(ref));
  assert.deepEqual(seen[0]!.statements.create, ["SET ROLE me", schedule, off, "RESET ROLE"]);
  assert.deepEqual(seen.slice(1), JSON.parse(JSON.stringify(lines.slice(1))));
});
