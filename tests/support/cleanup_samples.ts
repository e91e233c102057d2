/**
 * A repository with a backup a day, the time in it, and cleanups of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import {
  createRepository,
  openRepository,
  type RetentionRules,
} from "../../supabase/functions/backup/repository/mod.ts";
import {
  type MemoryStorage,
  memoryStorage,
} from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import {
  cleanupInParts,
  type CleanupReport,
} from "../../supabase/functions/backup/usecases/keep/cleanup_in_parts.ts";
import { noise, readSampleBackup, SAMPLE_KEY, writeSampleBackup } from "./repository_samples.ts";

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
const RULES: RetentionRules = {
  days: { database: 3, function: 3, config: 3, secrets: 3, files: 3 },
  ...{ weekly: 0, monthly: 0, manualDays: 3, minimumKept: 1, lockedDays: 0 },
};
const TIMES = { graceMs: 12 * HOUR_MS, lastsMs: 15 * 60_000, lockedMs: 0 };

/** A clock that moves when it is told to; waiting takes no time. */
function setClock(): Clock & { at: number } {
  return {
    at: Date.parse("2026-06-01T00:00:00Z"),
    now() {
      return new Date(this.at);
    },
    sleep: () => Promise.resolve(),
  };
}

/** Where a repository lies, and the time there. */
export type Place = { storage: Storage; clock: Clock & { at: number } };

/** The repository as a process that has just started opens it. */
export const open = ({ storage, clock }: Place) =>
  openRepository({ storage, key: SAMPLE_KEY, clock });

/** Parts of a day's backup: some of every day, some of this one only. */
export function partsOf(day: number): Uint8Array[] {
  const same = Array.from({ length: 3 }, (_, i) => noise(3000, i + 1));
  return [...same, noise(3000, 100 + day), noise(2000, 200 + day)];
}

/** The backup of a day. */
export function idOf(day: number): string {
  const moment = new Date(Date.parse("2026-06-01T00:00:00Z") + day * DAY_MS).toISOString();
  return `backup_${moment.replace(/[-:.]/g, "")}_000000${String(day).padStart(4, "0")}`;
}

/** Makes it, of the day's parts unless others are given. */
export async function backUp(
  place: Place,
  day: number,
  { parts = partsOf(day) } = {},
): Promise<void> {
  const repository = await open(place);
  await repository.rememberBackup("latest");
  await writeSampleBackup(repository, { backupId: idOf(day), parts, targetBytes: 1500 });
}

/** A backup a day for so many days. */
export async function days(count: number): Promise<Place & { storage: MemoryStorage }> {
  const clock = setClock();
  const storage = memoryStorage(clock);
  await createRepository({ storage, key: SAMPLE_KEY, clock });
  for (let day = 0; day < count; day++) {
    await backUp({ storage, clock }, day);
    clock.at += DAY_MS;
  }
  return { storage, clock };
}

let runs = 0;

/** A cleanup from its first part to its last. */
export async function cleanUp(
  place: Place,
  {
    dryRun = false,
    rules = RULES,
    whyNot = null as string | null,
    givenUp = [] as string[],
    expired = [] as string[],
    server,
  }: {
    dryRun?: boolean;
    rules?: RetentionRules;
    whyNot?: string | null;
    givenUp?: string[];
    expired?: string[];
    /** The clock that counts. @default the place's */
    server?: Clock;
  } = {},
): Promise<CleanupReport> {
  const clock = server ?? place.clock;
  const runId = `cleanup_20260601T000000000Z_${String(runs++).padStart(10, "0")}`;
  const definition = cleanupInParts({
    plan: { runId, dryRun, rules, times: TIMES },
    repository: await open(place),
    clock: () => Promise.resolve(clock),
    facts: () =>
      Promise.resolve({
        ...{ now: clock.now(), damaged: new Set(), inUse: new Set(), withReason: new Set() },
        givenUp: new Set(givenUp),
      }),
    whyNotFree: () => Promise.resolve(whyNot),
    expired: ({ backupIds }) => Promise.resolve(void expired.push(...backupIds)),
    decided: () => Promise.resolve(),
    prune: () => Promise.resolve({ rows: 1 }),
  });
  const job = await runInProcess(definition, {
    job: {
      ...{ jobId: runId, kind: "verify", type: "database", backupId: null },
      ...{ reason: null, createdBy: null },
    },
    ...{ clock: systemClock, concurrency: 2 },
  });
  return job.result as unknown as CleanupReport;
}

/** Everything that is listed can be read and is what was saved; returns the days. */
export async function expectWhole(place: Place, what = ""): Promise<number[]> {
  const repository = await open(place);
  const { backups, damaged } = await repository.listBackups();
  assert.deepEqual(damaged, [], what);
  const { problems } = await repository.verify({ level: "full" });
  assert.deepEqual(problems, [], what);
  const found = backups.map(({ backupId }) => Number(backupId.slice(-4)));
  for (const day of found) {
    assert.deepEqual(await readSampleBackup(repository, idOf(day)), partsOf(day), what);
  }
  return found;
}

/** Objects with a prefix. */
export function countOf(storage: MemoryStorage, prefix: string): number {
  return [...storage.objects.keys()].filter((name) => name.startsWith(prefix)).length;
}

/** A clock that is wrong by so much. */
export function wrong(clock: Clock, byMs: number): Clock & { at: number } {
  return { at: 0, now: () => new Date(clock.now().getTime() + byMs), sleep: clock.sleep };
}

/** Makes the same place again and again. */
export function copies(first: Place & { storage: MemoryStorage }): () => typeof first {
  const { at } = first.clock;
  const objects = new Map(first.storage.objects);
  return () => {
    const clock = setClock();
    clock.at = at;
    const storage = memoryStorage(clock);
    for (const [name, { body, modifiedAt }] of objects) {
      storage.objects.set(name, { body, modifiedAt });
    }
    return { storage, clock };
  };
}
