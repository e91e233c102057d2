import assert from "node:assert/strict";
import { systemClock } from "../core/clock.ts";
import type { Environment } from "../core/environment.ts";
import { newJob } from "../core/job.ts";
import { DEFAULT_SETTINGS } from "../core/settings.ts";
import { createBudget } from "../jobs/budget.ts";
import { MemoryPartStore } from "../jobs/memory_part_store.ts";
import type { StateDatabase } from "../state/database.ts";
import { openDrive } from "./open_drive.ts";

/** More than the process of all tests may have used when this one begins. */
const AMPLE = { workerCpuSeconds: 3600, workerWallSeconds: 36_000, workerMemoryMb: 16_384 };

/** The most parts, each with a connection, that a worker does at a time. */
async function mostAtATime(databaseConnections: number, edgeRuntime: boolean): Promise<number> {
  const parts = new MemoryPartStore();
  const job = { jobId: "backup_1", kind: "backup", type: "database", backupId: null } as const;
  await parts.begin(newJob({ ...job, reason: null, createdBy: null }, new Date()), {
    parts: Array.from({ length: 12 }, () => ({ step: 0, name: "a", payload: null, bytes: 0 })),
    bounds: { maxWorkers: 1, maxAttempts: 1, maxRounds: 1 },
    request: null,
  });
  let running = 0;
  let most = 0;
  const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
  const drive = openDrive({
    ...{ parts, clock: systemClock, onError: (error) => assert.fail(error) },
    database: {} as StateDatabase,
    environment: {
      ...{ edgeRuntime, functionUrl: null },
      ...{ secretKeys: [], serviceRoleKey: null, allowedKeys: null },
    } as unknown as Environment,
    budget: createBudget({ cpuMs: null, wallMs: null, memoryBytes: null }),
    settings: () =>
      Promise.resolve({ settings: { ...DEFAULT_SETTINGS, ...AMPLE, databaseConnections } }),
    definitionOf: () =>
      Promise.resolve({
        first: () => [],
        async run({ part }) {
          most = Math.max(most, ++running);
          for (let turns = 0; turns < 3; turns++) await turn();
          running--;
          const finish = { result: {}, sizeBytes: 1, checksum: "c", location: "here" };
          return part === 12 ? { result: null, finish } : { result: null };
        },
      }),
  });
  drive.begin();
  await drive.end();
  return most;
}

Deno.test("openDrive's worker uses as many connections at a time as the settings say, in a function two", async () => {
  assert.equal(await mostAtATime(1, false), 1);
  assert.equal(await mostAtATime(5, false), 5);
  assert.equal(await mostAtATime(5, true), 2);
});
