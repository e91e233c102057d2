/**
 * A store of parts under test, and the few things that its rules do with it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import { type Job, type JobKind, newJob } from "../../supabase/functions/backup/core/job.ts";
import type { JobBounds, Lease, NewPart } from "../../supabase/functions/backup/core/part.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";

/** A store under test. */
export interface TestedStore {
  store: PartStore;
  /** Moves the store's clock. */
  advance(ms: number): void;
  /** The job as users see it. */
  job(jobId: string, kind: JobKind): Promise<Job | null | undefined>;
}

/** Of every job that says nothing else. */
export const BOUNDS: JobBounds = { maxWorkers: 10, maxAttempts: 3, maxRounds: 2 };

/** So long that the time that really passes does not matter. */
export const LEASE = { leaseMs: 1_000_000 };

/** A part for tests. */
export function part(step: number, name: string, bytes = 0): NewPart {
  return { step, name, payload: null, bytes };
}

/** A failure that ends the job. */
export function final() {
  const error = new BackupError("damaged_source", "Cannot read it: it is broken");
  return { kind: "final" as const, error };
}

/** Begins a job with these parts. */
export async function begin(
  { store }: Pick<TestedStore, "store">,
  parts: NewPart[],
  { bounds = BOUNDS, kind = "backup" as JobKind, request = null as NewPart["payload"] } = {},
): Promise<Job> {
  const at = new Date();
  const jobId = newJobId(kind, at);
  const backupId = kind === "backup" ? jobId : null;
  const rest = { type: "database" as const, reason: null, createdBy: "test" };
  const job = newJob({ jobId, kind, backupId, ...rest }, at);
  await store.begin(job, { parts, bounds, request });
  return job;
}

/** Takes the next part, which must be there. */
export async function claim(store: PartStore, worker = "w"): Promise<Lease> {
  const lease = await store.claim({ worker, ...LEASE });
  assert.ok(lease !== null);
  return lease;
}

/** The end part is the last one, and the store then knows nothing of the job. */
export async function end(store: PartStore, jobId: string, how: string): Promise<void> {
  const lease = await store.claim({ worker: "w", ...LEASE, jobId });
  assert.deepEqual([lease?.name, lease?.payload], ["end", how]);
  assert.equal(await store.complete(lease!, { result: null }), "recorded");
  assert.equal(await store.claim({ worker: "w", ...LEASE, jobId }), null);
  assert.deepEqual(await store.waiting({ jobId }), { parts: 0, nextInMs: null, workers: 0 });
  assert.equal(await store.find(jobId), null);
}

/** Whether an error is the refusal of a second job that names the first. */
export function isConflict(jobId: string) {
  return (error: unknown) =>
    error instanceof BackupError && error.code === "conflict" && error.message.includes(jobId);
}
