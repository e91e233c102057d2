/**
 * A restore that is done by workers of which each is ended in the middle of its work, as a platform does whose
 * limits they reach. Attempts are counted as in the service: by the same store and the same worker.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { type Job, newJob } from "../../supabase/functions/backup/core/job.ts";
import type { Lease, PartOutcome } from "../../supabase/functions/backup/core/part.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { MemoryPartStore } from "../../supabase/functions/backup/jobs/memory_part_store.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";
import { runWorker } from "../../supabase/functions/backup/jobs/run_worker.ts";
import { PartTables } from "../../supabase/functions/backup/state/part_tables.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import {
  restoreInParts,
  type RestoreInPartsOptions,
} from "../../supabase/functions/backup/usecases/restore/restore_in_parts.ts";
import { asRepository, type MemoryBackup } from "./memory_backup.ts";
import { LARGE_LIMITS, Mortal } from "./parts_of_restore.ts";
import { temporaryDatabase } from "./temporary_database.ts";

/** What a restore by such workers came to. */
export interface EndedRestore {
  job: Job;
  /** Names of the parts at which a worker was ended, in order. */
  ended: string[];
}

/** What counts the tries of parts, and keeps the job for its users. */
export interface KeptJobs extends AsyncDisposable {
  store: PartStore;
  job(jobId: string): Promise<Job>;
}

/** Where jobs are kept: by a process for itself, and by a service for all of its workers. */
export const KEPT_IN = {
  memory: (): Promise<KeptJobs> => {
    const store = new MemoryPartStore();
    return Promise.resolve({
      store,
      job: (jobId) => Promise.resolve(store.get(jobId)!),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
  tables: async (): Promise<KeptJobs> => {
    const database = await temporaryDatabase("ended_workers_jobs");
    const state = new State(new Secret(database.url));
    await state.migrate();
    return {
      store: new PartTables(state.database),
      job: async (jobId) => (await state.jobs.get(jobId, "restore"))!,
      async [Symbol.asyncDispose]() {
        await state.close();
        await database[Symbol.asyncDispose]();
      },
    };
  },
};

/**
 * Restores with a new worker after each that is ended, until the job is over and what it held is freed.
 *
 * @param options.room makes for each worker what judges its statements: true for the one that it is ended before.
 * Without it none is ended
 */
export async function restoreByEnded(
  backup: MemoryBackup,
  url: string,
  { room = () => () => false, maxAttempts = 8, keptIn = "memory", ...options }:
    & { room?: () => (sql: string) => boolean; maxAttempts?: number; keptIn?: keyof typeof KEPT_IN }
    & Partial<RestoreInPartsOptions>,
): Promise<EndedRestore> {
  const jobId = `restore_${crypto.randomUUID()}`;
  await using kept = await KEPT_IN[keptIn]();
  const { store } = kept;
  const define = (mortal: Mortal) =>
    restoreInParts({
      ...{ jobId, connect: mortal.connect, repository: asRepository(backup), writtenBy: "test" },
      ...{ backupId: "latest", request: {}, clock: systemClock, limits: LARGE_LIMITS },
      ...options,
    });
  const about = { jobId, kind: "restore", type: "database", backupId: null } as const;
  const job = newJob({ ...about, reason: null, createdBy: "test" }, new Date());
  const bounds = { maxWorkers: 1, maxAttempts, maxRounds: 1 };
  const parts = define(new Mortal(url)).first();
  await store.begin(job, { parts, bounds, request: null });
  const ended: string[] = [];
  for (let worker = 1; (await store.waiting({ jobId })).parts > 0; worker++) {
    const end = new AbortController();
    const isTooMuch = room();
    const held: string[] = [];
    const mortal = new Mortal(url, {
      how: "before",
      at: (sql) => {
        if (!isTooMuch(sql)) return false;
        ended.push(held.at(-1)!);
        end.abort(new BackupError("interrupted", "Cannot go on: the platform ends this worker"));
        return true;
      },
    });
    const definition = define(mortal);
    const watched = {
      ...definition,
      run: (lease: Lease, context: Parameters<typeof definition.run>[1]): Promise<PartOutcome> => {
        held.push(lease.name);
        return Promise.resolve(definition.run(lease, context));
      },
    };
    await runWorker({
      ...{ store, jobId, worker: `w${worker}`, clock: systemClock, patienceMs: Infinity },
      definitionOf: () => Promise.resolve(watched),
      budget: {
        allows: () => !end.signal.aborted,
        enter: () => ({ [Symbol.dispose]: () => {} }),
        signal: end.signal,
      },
    });
  }
  return { job: await kept.job(jobId), ended };
}
