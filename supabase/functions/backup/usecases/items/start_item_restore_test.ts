import assert from "node:assert/strict";
import { backUpItems, MemoryItems } from "../../../../../tests/support/memory_items.ts";
import { systemClock } from "../../core/clock.ts";
import { newJobId } from "../../core/ids.ts";
import type { ItemTarget } from "../../core/items.ts";
import { type Job, newJob } from "../../core/job.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import { MemoryPartStore } from "../../jobs/memory_part_store.ts";
import { runWorker } from "../../jobs/run_worker.ts";
import { createRepository } from "../../repository/mod.ts";
import { memoryStorage } from "../../storage/memory.ts";
import { defineBackup } from "../backup/start_backup.ts";
import type { Deps } from "../deps.ts";
import { defineItemRestore } from "./start_item_restore.ts";

/** A project whose sources and targets fail when they are used after they were left. */
async function project() {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const items = new MemoryItems();
  for (const key of ["a", "a/1", "a/2", "b", "b/1"]) items.set(key, key.repeat(100));
  const restored: string[] = [];
  const opened = () => {
    let isOpen = true;
    const use = () => assert.ok(isOpen, "used after its end");
    return { use, leave: () => Promise.resolve(void (isOpen = false)) };
  };
  const deps = {
    ...{ clock: systemClock, environment: { databaseUrl: null } },
    settings: () => Promise.resolve({ settings: {} }),
    openRepository: () => Promise.resolve(repository),
    project: {
      source() {
        const { use, leave } = opened();
        const source = new MemoryItems();
        for (const [key, content] of items.items) source.set(key, content);
        source.onRead = use;
        return Promise.resolve({ source, leave });
      },
      target() {
        const { use, leave } = opened();
        const target: ItemTarget = {
          plan(items) {
            use();
            return Promise.resolve(items.map(({ key }) => ({ key, action: "create", title: key })));
          },
          apply({ key }) {
            use();
            restored.push(key);
            return Promise.resolve({ key, outcome: "done" });
          },
        };
        return Promise.resolve({ target, leave });
      },
    },
  } as unknown as Deps;
  return { deps, repository, items, restored };
}

/** Runs a job whose worker leaves it after each part, as one that finds nothing to take for now. */
async function runWithPauses(job: Job, definition: JobDefinition): Promise<Job> {
  const store = new MemoryPartStore();
  const bounds = { maxWorkers: 1, maxAttempts: 1, maxRounds: 1 };
  await store.begin(job, { parts: definition.first(), bounds, request: null });
  for (let left = 1; left > 0;) {
    const part = new AbortController();
    const report = await runWorker({
      ...{ store, worker: "one", clock: systemClock, signal: part.signal },
      definitionOf: () => Promise.resolve(definition),
      observer: { started() {}, ended: () => part.abort() },
    });
    left = report.waiting.parts;
  }
  return job;
}

const jobOf = (kind: "backup" | "restore") =>
  newJob({
    ...{ jobId: newJobId(kind, new Date(), "files"), kind, type: "files", backupId: null },
    ...{ reason: null, createdBy: null },
  }, new Date());

Deno.test("a backup of items goes on over new connections when its worker had left it", async () => {
  const { deps, repository } = await project();
  const job = jobOf("backup");
  await runWithPauses(job, await defineBackup(deps, job, {}));
  assert.deepEqual([job.status, job.error], ["completed", null]);
  const { manifest } = await repository.readBackup(job.jobId, { type: "files" });
  assert.deepEqual([manifest.totals.items, manifest.totals.failed], [5, 0]);
});

Deno.test("a restore of items goes on over new connections when its worker had left it", async () => {
  const { deps, repository, items, restored } = await project();
  const { backupId } = await backUpItems(items, repository, { limits: { partItems: 2 } });
  const job = jobOf("restore");
  const definition = await defineItemRestore(deps, job, {
    ...{ type: "files", backupId, only: [], replace: true, dryRun: false },
    ...{ acceptHazards: [], skipSafetyBackup: false },
  });
  await runWithPauses(job, definition);
  assert.deepEqual([job.status, job.error], ["completed", null]);
  assert.deepEqual(restored.sort(), [...items.items.keys()].sort());
});
