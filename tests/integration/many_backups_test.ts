/**
 * A history of hundreds of backups: each answer and each part of a job asks the storage for a bounded number
 * of things, which is what CPU goes into. Thousands, under the platform's limits, are `deno task soak keeping`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import type { JobDefinition } from "../../supabase/functions/backup/jobs/job_definition.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import { openRepository, type Repository } from "../../supabase/functions/backup/repository/mod.ts";
import {
  type MemoryStorage,
  memoryStorage,
} from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import {
  cleanupInParts,
  type CleanupReport,
} from "../../supabase/functions/backup/usecases/keep/cleanup_in_parts.ts";
import { replicateInParts } from "../../supabase/functions/backup/usecases/replicate/replicate_in_parts.ts";
import {
  type ReplicateReport,
  writeReport,
} from "../../supabase/functions/backup/usecases/replicate/replicate_report.ts";
import { readNewest } from "../../supabase/functions/backup/usecases/service/newest_backups.ts";
import { verifyInParts } from "../../supabase/functions/backup/usecases/verify/verify_in_parts.ts";
import { idBefore, writeManyBackups } from "../support/many_backups.ts";
import { call, post, startServiceUnderTest } from "../support/service.ts";

const KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const BACKUPS = 650;
/** Calls of one part or answer; a call costs about a millisecond of CPU. */
const MOST_CALLS = 450;
const NEWEST = new Date(Date.now() - 3_600_000);

let making: Promise<MemoryStorage> | undefined;
const made = () =>
  making ??= writeManyBackups({
    ...{ key: new Secret(KEY), backups: BACKUPS, ownChunks: 1, sharedChunks: 2, newest: NEWEST },
  });

/** The storage, and a count of what it is asked for. */
function counting(storage: Storage): { storage: Storage; calls: () => number } {
  let calls = 0;
  const asked = new Proxy(storage, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        calls++;
        return value.apply(target, args);
      };
    },
  });
  return { storage: asked, calls: () => calls };
}

/** The repository in it as well. */
async function counted(storage: Storage): Promise<{ repository: Repository; calls: () => number }> {
  const { storage: asked, calls } = counting(storage);
  return { repository: await openRepository({ storage: asked, key: new Secret(KEY) }), calls };
}

/** Runs the job, one part after the other; says the most calls of any. */
async function run(definition: JobDefinition, calls: () => number) {
  const parts: { name: string; calls: number }[] = [];
  const job = await runInProcess({
    ...definition,
    async run(lease, context) {
      const before = calls();
      const outcome = await definition.run(lease, context);
      parts.push({ name: lease.name, calls: calls() - before });
      return outcome;
    },
  }, {
    job: {
      ...{ jobId: "cleanup_20260101T000000000Z_0000000001", kind: "verify", type: "database" },
      ...{ backupId: null, reason: null, createdBy: null },
    },
    ...{ clock: systemClock, concurrency: 1 },
  });
  return { result: job.result, parts };
}

function expectBounded(parts: readonly { name: string; calls: number }[], most = MOST_CALLS): void {
  assert.deepEqual(parts.filter(({ calls }) => calls > most), []);
  const sum = parts.reduce((sum, { calls }) => sum + calls, 0);
  assert.ok(sum > 2 * most, `the work as a whole is more than one part may do: ${sum}`);
}

Deno.test("no part of a verification of hundreds of backups does the work of all", async () => {
  const { repository, calls } = await counted(await made());
  const definition = verifyInParts({ repository, level: "full", backups: [] });
  const { result, parts } = await run(definition, calls);
  expectBounded(parts);
  assert.deepEqual(result?.problems, []);
  assert.equal((result?.backups as string[]).length, BACKUPS);
  assert.equal(result?.objectsChecked, BACKUPS * (2 + 1 + 1) + 2 + 2, "records, lists and rows");
});

Deno.test("no part of a cleanup of hundreds of backups does the work of all", async () => {
  const storage = { ...await made(), objects: new Map((await made()).objects) };
  const { repository, calls } = await counted(storage);
  const days = { database: 1, function: 1, config: 1, secrets: 1, files: 1 };
  const definition = cleanupInParts({
    plan: {
      runId: "cleanup_20260101T000000000Z_0000000001",
      dryRun: true,
      rules: { days, weekly: 0, monthly: 0, manualDays: 1, minimumKept: 1, lockedDays: 0 },
      times: { graceMs: 0, lastsMs: 60_000, lockedMs: 0 },
    },
    repository,
    clock: () => Promise.resolve(systemClock),
    facts: () =>
      Promise.resolve({
        ...{ now: new Date(), damaged: new Set(), inUse: new Set(), withReason: new Set() },
        givenUp: new Set(),
      }),
    whyNotFree: () => Promise.resolve(null),
    expired: () => Promise.resolve(),
    decided: () => Promise.resolve(),
    prune: () => Promise.resolve({}),
  });
  const { result, parts } = await run(definition, calls);
  expectBounded(parts);
  const { expired, leftToExpire } = result as unknown as CleanupReport;
  assert.equal(expired.length, 200);
  assert.equal(leftToExpire, BACKUPS - 24 - 200);
});

Deno.test("no part of copying hundreds of backups does the work of all", async () => {
  const [from, to] = [counting(await made()), counting(memoryStorage())];
  const key = new Secret(KEY);
  const definition = replicateInParts({
    ...{ level: "quick", dryRun: false },
    original: {
      storage: from.storage,
      repository: await openRepository({ storage: from.storage, key }),
    },
    copy: { storage: to.storage, open: () => openRepository({ storage: to.storage, key }) },
    async conclude(results) {
      const head = { destination: "offsite", location: "", level: "quick", dryRun: false } as const;
      return { ...await writeReport(head, results) };
    },
  });
  const { result, parts } = await run(definition, () => from.calls() + to.calls());
  expectBounded(parts);
  const { backups, problems } = result as unknown as ReplicateReport;
  assert.deepEqual([backups.added.length, problems], [BACKUPS, []]);
});

Deno.test("a look at hundreds of backups reads the newest", async () => {
  const { repository, calls } = await counted(await made());
  const before = calls();
  const { ids, list } = await readNewest(repository);
  assert.ok(calls() - before < 200);
  assert.equal(ids.length, BACKUPS);
  assert.deepEqual(list.backups.map(({ backupId }) => backupId), ids.slice(0, 150));
});

Deno.test("init rebuilds the list of backups some hundred at a time, and answers know all of them", async () => {
  const { service, variables, stop } = await startServiceUnderTest({ BACKUP_ENCRYPTION_KEY: KEY });
  await using _service = { [Symbol.asyncDispose]: stop };
  const path = variables.BACKUP_STORAGE_PATH!;
  for (const [name, { body }] of (await made()).objects) {
    await Deno.mkdir(`${path}/${name.slice(0, name.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeFile(`${path}/${name}`, body);
  }
  const listed = async () => {
    const { body } = await post(service, "init");
    return body.data.steps.find(({ step }: { step: string }) => step === "list-of-backups");
  };
  const steps = [await listed(), await listed(), await listed()];
  const left = (count: number) =>
    `250 added from storage; ${count} older ones are still to be added, some hundred at a time`;
  assert.deepEqual(steps.map(({ done, found }) => [done, found]), [
    [false, left(BACKUPS - 250)],
    [false, left(BACKUPS - 500)],
    [true, `${BACKUPS - 500} added from storage`],
  ]);
  const { body } = await call(service, "status");
  assert.equal(body.data.backups.database.count, BACKUPS);
  assert.deepEqual(body.data.backups.database.lost, { missing: [], replaced: [] });
  assert.equal((await call(service, "jobs&limit=1")).body.data.total, BACKUPS);

  // Of any time only what shows it is read, also where it is the oldest.
  const oldest = new Date(NEWEST.getTime() - (BACKUPS - 1) * 3_600_000).toISOString();
  const points = await call(service, `recovery-points&to=${oldest}&limit=3`);
  const shown = points.body.data.backups.map(({ backupId }: { backupId: string }) => backupId);
  const lastDay = Array.from({ length: 25 }, (_, hours) => idBefore(NEWEST, BACKUPS - 1 - hours));
  assert.deepEqual(shown, lastDay.toReversed().slice(0, 3));
});
