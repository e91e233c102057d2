import assert from "node:assert/strict";
import { JOB_TYPES, newJob } from "../../core/job.ts";
import type { Settings } from "../../core/settings.ts";
import type { JobStart } from "../../jobs/jobs.ts";
import type { Deps } from "../deps.ts";
import { startJob } from "./start_job.ts";

Deno.test("startJob() lets one worker ask the Management API, and as many as are set do the rest", async () => {
  const most: Record<string, number> = {};
  const deps = {
    jobs: {
      start({ job, bounds }: JobStart) {
        most[job.type] = bounds.maxWorkers;
        return Promise.resolve(newJob(job, new Date()));
      },
    },
    state: { audit: { add: () => Promise.resolve() } },
  } as unknown as Deps;
  for (const type of JOB_TYPES) {
    const job = {
      ...{ jobId: `backup_${type}`, kind: "backup" as const, type, backupId: null },
      ...{ reason: null, createdBy: "somebody" },
    };
    const request = { task: "backup-items", request: {} } as never;
    const start = { action: `backup-${type}`, job, request, first: [], details: {} };
    const settings = { maxWorkers: 7, databaseConnections: 2 } as Settings;
    await startJob(deps, { name: "somebody", requestId: "request" }, { settings, start });
  }
  assert.deepEqual(most, { database: 7, files: 7, function: 1, config: 1, secrets: 1 });
});
