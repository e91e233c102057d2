import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import { isJobId } from "../../core/ids.ts";
import type { Job } from "../../core/job.ts";
import type { Deps } from "../deps.ts";
import { findOnce, startOnce } from "./start_once.ts";

/** Jobs in memory, and a wish for one of them. */
function startJobs() {
  const jobs = new Map<string, Job>();
  const deps = {
    jobs: { get: (jobId: string) => jobs.get(jobId) },
    state: {
      jobs: { get: () => Promise.resolve(null) },
      parts: { progress: () => Promise.resolve(null) },
    },
  } as unknown as Deps;
  const wish = {
    key: "recovery_20261121T120000123Z_x:step",
    kind: "restore",
    type: "config",
  } as const;
  const start = (jobId: string) => {
    const job = { jobId, kind: "restore", type: "config", status: "running" } as Job;
    assert.ok(!jobs.has(jobId), "a job is started under a free id");
    jobs.set(jobId, job);
    return Promise.resolve(job);
  };
  return { deps, jobs, wish, start };
}

Deno.test("startOnce() finds the job of its key again, and starts another only after it has failed", async () => {
  const { deps, jobs, wish, start } = startJobs();
  assert.equal(await findOnce(deps, wish), null);
  const first = await startOnce(deps, { ...wish, start });
  assert.match(first.jobId, /^restore_20261121T120000123Z_config_[0-9a-f]{10}$/);
  assert.ok(isJobId(first.jobId));
  for (const status of ["running", "completed", "cancelled"] as const) {
    first.status = status;
    assert.equal((await startOnce(deps, { ...wish, start })).jobId, first.jobId, status);
    assert.equal((await findOnce(deps, wish))?.jobId, first.jobId, status);
  }
  first.status = "failed";
  const second = await startOnce(deps, { ...wish, start });
  assert.notEqual(second.jobId, first.jobId);
  assert.equal((await startOnce(deps, { ...wish, start })).jobId, second.jobId);

  await startOnce(deps, { ...wish, key: "recovery_20261121T120000123Z_y:step", start });
  assert.equal(jobs.size, 3, "another key is another job");
});

Deno.test("startOnce() looks anew where only a look is wished", async () => {
  const { deps, wish, start } = startJobs();
  const first = await startOnce(deps, { ...wish, freshly: true, start });
  assert.equal((await startOnce(deps, { ...wish, freshly: true, start })).jobId, first.jobId);
  first.status = "completed";
  assert.notEqual((await startOnce(deps, { ...wish, freshly: true, start })).jobId, first.jobId);
});

Deno.test("startOnce() gives up after twenty failed jobs of a key, and takes any key", async () => {
  const { deps, wish, start } = startJobs();
  const plain = { ...wish, key: "no moment in it" };
  for (let count = 0; count < 20; count++) {
    (await startOnce(deps, { ...plain, start })).status = "failed";
  }
  await assert.rejects(startOnce(deps, { ...plain, start }), (error) => {
    return error instanceof BackupError && error.code === "conflict";
  });
});
