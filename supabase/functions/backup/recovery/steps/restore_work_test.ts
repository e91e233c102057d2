import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import { conflictWith, type Job, type JobKind, type JobStatus } from "../../core/job.ts";
import type { StepEnd } from "../step.ts";
import { backupOf, completedJob, type RestoreWork, startOverBackup } from "./restore_work.ts";

/** A step among jobs of this process. */
function workAmong(jobs: readonly Job[], more: Partial<RestoreWork> = {}) {
  const byId = new Map(jobs.map((job) => [job.jobId, job]));
  const cancelled: string[] = [];
  const deps = {
    jobs: {
      get: (jobId: string) => byId.get(jobId),
      cancel(jobId: string) {
        cancelled.push(jobId);
        byId.get(jobId)!.status = "cancelled";
        return Promise.resolve();
      },
      wait: () => Promise.resolve(null),
    },
    state: {
      audit: { add: () => Promise.resolve() },
      jobs: { get: () => Promise.resolve(null) },
    },
  };
  const caller = { name: "default", requestId: "req_1" };
  const parameters = {
    backupType: "database",
    useLatest: true,
    checkOnly: false,
    mustMatch: false,
  };
  const work = { deps, caller, earlier: new Map(), parameters, ...more } as unknown as RestoreWork;
  return { work, cancelled };
}

function jobOf(kind: JobKind, status: JobStatus, more: Partial<Job> = {}): Job {
  return { jobId: `${kind}_1`, kind, type: "database", status, error: null, ...more } as Job;
}

Deno.test("startOverBackup() stops a backup that is in the way, and starts then", async () => {
  const backup = jobOf("backup", "running");
  const { work, cancelled } = workAmong([backup]);
  const restore = jobOf("restore", "running");
  const start = () =>
    backup.status === "running" ? Promise.reject(conflictWith(backup)) : Promise.resolve(restore);
  assert.equal(await startOverBackup(work, start), restore);
  assert.deepEqual(cancelled, ["backup_1"]);
});

Deno.test("startOverBackup() leaves another restore alone, and fails as starting failed", async () => {
  const other = jobOf("restore", "running");
  const { work, cancelled } = workAmong([other]);
  const conflict = conflictWith(other);
  await assert.rejects(startOverBackup(work, () => Promise.reject(conflict)), conflict);
  const refused = new BackupError("restore_refused", "no");
  await assert.rejects(startOverBackup(work, () => Promise.reject(refused)), refused);
  assert.deepEqual(cancelled, []);
});

Deno.test("backupOf() keeps to the backup that a step before has taken, of the same type", () => {
  const end = (details: StepEnd["details"]): StepEnd => {
    return { state: "done", found: "", details, byHand: [] };
  };
  const earlier = new Map([
    ["config", end({ backupType: "config", backupId: "backup_c" })],
    ["assess", end({ backupType: "database", backupId: "backup_d" })],
  ]);
  assert.equal(backupOf(workAmong([]).work), "latest");
  assert.equal(backupOf(workAmong([], { earlier }).work), "backup_d");
  const { work } = workAmong([], { earlier });
  const named = { ...work.parameters, useLatest: false, backupId: "backup_n" };
  assert.equal(backupOf({ ...work, parameters: named }), "backup_n");
});

Deno.test("completedJob() throws the job's own error, or that somebody stopped it", async () => {
  const error = { code: "restore_mismatch", message: "Cannot restore: it differs" };
  const ends: [Job, string][] = [
    [jobOf("restore", "failed", { error }), "restore_mismatch"],
    [jobOf("restore", "cancelled"), "cancelled"],
  ];
  for (const [job, code] of ends) {
    await assert.rejects(completedJob(workAmong([job]).work, job.jobId), { code });
  }
  const done = jobOf("restore", "completed");
  assert.equal(await completedJob(workAmong([done]).work, done.jobId), done);
});
