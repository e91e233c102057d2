import assert from "node:assert/strict";
import type { Job } from "../../supabase/functions/backup/core/job.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { type PlatformOptions, startHostedPlatform } from "../support/hosted_platform.ts";
import { firstPart, type SyntheticJob } from "../support/parts_function.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";
import { NOTHING_DUE } from "../support/service.ts";

const KEY = "sb_secret_driving_0123456789abcdef";
const entry = new URL("../support/parts_function.ts", import.meta.url);

/** A platform on a database of its own with a job whose first part waits. */
async function startWithJob(synthetic: SyntheticJob, options: Partial<PlatformOptions> = {}) {
  const database = await temporaryDatabase("e2_driving");
  const state = new State(new Secret(database.url));
  await state.migrate();
  const jobId = newJobId("verify", new Date());
  const job: Job = {
    ...{ jobId, kind: "verify", type: "database", status: "running", backupId: null },
    ...{ startedAt: new Date().toISOString(), completedAt: null, reason: null, createdBy: null },
    ...{ sizeBytes: null, checksum: null, location: null, error: null, progress: null },
    ...{ result: null, recorded: true, recoveryPointId: null },
  };
  await state.parts.begin(job, {
    parts: [firstPart(synthetic)],
    bounds: { maxWorkers: 4, maxAttempts: 8, maxRounds: 1 },
    request: null,
  });
  const log: string[] = [];
  const platform = startHostedPlatform({
    variables: {
      SUPABASE_DB_URL: database.url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEY }),
      ...NOTHING_DUE,
    },
    entry,
    onLog: (line) => void log.push(line),
    ...options,
  });
  const tick = async () => {
    const answer = await fetch(`${platform.url}?action=tick`, {
      method: "POST",
      headers: { apikey: KEY },
    });
    return { status: answer.status, body: await answer.json() };
  };
  /** Looks into the tables until the job has ended, and asks nobody to go on with it. */
  const finish = async () => {
    for (;;) {
      const now = await state.jobs.get(jobId, "verify");
      if (now !== null && now.status !== "running") return now;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  return {
    jobId,
    platform,
    log,
    tick,
    finish,
    async [Symbol.asyncDispose]() {
      await platform[Symbol.asyncDispose]();
      await state.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

Deno.test("one tick drives a job of many budgets to its end, worker calling worker, none killed", async () => {
  await using it = await startWithJob({ parts: 12, cpuMs: 200, bytes: 8_000_000 });
  const { status, body } = await it.tick();
  assert.equal(status, 202);
  assert.equal(body.data.state, "started");
  const job = await it.finish();
  assert.equal(job.status, "completed", JSON.stringify(job.error));
  assert.deepEqual(job.result, { parts: 12 });
  const { ended, isolates } = it.platform.figures();
  assert.ok(isolates >= 2, "one isolate did it all");
  assert.deepEqual({ cpu: ended.cpu, crash: ended.crash }, { cpu: 0, crash: 0 }, it.log.join("\n"));
});

Deno.test("whoever looks at a job that all workers have left makes it go on, without any clock", async () => {
  await using it = await startWithJob({ parts: 3, cpuMs: 10, bytes: 1000 });
  let job: Job;
  do {
    const url = `${it.platform.url}?action=job&type=verify&jobId=${it.jobId}`;
    const answer = await fetch(url, { headers: { apikey: KEY } });
    job = (await answer.json()).data;
    await new Promise((resolve) => setTimeout(resolve, 50));
  } while (job.status === "running");
  assert.equal(job.status, "completed", JSON.stringify(job.error));
  assert.deepEqual(job.result, { parts: 3 });
});
