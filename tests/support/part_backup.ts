/**
 * A backup as a job in the service's tables, in the very database that is saved, done by workers that
 * each test makes and spoils as it likes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import { type Job, newJob } from "../../supabase/functions/backup/core/job.ts";
import type { JobBounds } from "../../supabase/functions/backup/core/part.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { DEFAULT_SETTINGS } from "../../supabase/functions/backup/core/settings.ts";
import {
  type DataLimits,
  sessionHolder,
  type SnapshotHolder,
} from "../../supabase/functions/backup/dump/mod.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";
import {
  runWorker,
  type RunWorkerOptions,
  type WorkerReport,
} from "../../supabase/functions/backup/jobs/run_worker.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  createRepository,
  openRepository,
  type Repository,
  repositoryExists,
} from "../../supabase/functions/backup/repository/mod.ts";
import { PartTables } from "../../supabase/functions/backup/state/part_tables.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { backupPlan } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import {
  backupInParts,
  FIRST_OF_BACKUP,
} from "../../supabase/functions/backup/usecases/backup/backup_in_parts.ts";
import { dumpOptions } from "../../supabase/functions/backup/usecases/database_access.ts";
import { backupState, databaseState } from "./database_state.ts";

/** Small, so that little data makes many parts. */
const LIMITS: DataLimits = { partBytes: 65_536, maxPartBytes: 262_144 };

const BOUNDS: JobBounds = { maxWorkers: 8, maxAttempts: 8, maxRounds: 5 };

/** How one worker differs from a good one. */
export interface SpoiltWorker extends Partial<Omit<RunWorkerOptions, "store">> {
  /** Between the worker and the tables. */
  store?: (tables: PartStore) => PartStore;
  /** Between the worker and the storage. */
  storage?: (storage: Storage) => Storage;
  /** How it connects to the database. @default directly */
  open?: () => Promise<Session>;
  /** Who holds the moment. @default this process, for all workers */
  holder?: SnapshotHolder;
}

/** See the module. */
export interface PartBackup extends AsyncDisposable {
  storage: Storage;
  state: State;
  /** Moves the clock of the tables, which leases and pauses go by. */
  advance(ms: number): void;
  /** Records a new job. */
  begin(bounds?: Partial<JobBounds>): Promise<string>;
  /** Works until nothing is left to take. */
  work(jobId: string, spoilt?: SpoiltWorker): Promise<WorkerReport>;
  job(jobId: string): Promise<Job>;
  repository(): Promise<Repository>;
  /** The job has ended well, its backup is whole and holds the database as it is, and nothing else is listed damaged. */
  expectSaved(jobId: string): Promise<void>;
}

/** Prepares a database, which has its rows already. */
export async function partBackup(
  url: string,
  { limits = LIMITS, relationsAPart = null, lockTimeoutMs = 2000, storage = memoryStorage() }: {
    limits?: DataLimits;
    relationsAPart?: number | null;
    lockTimeoutMs?: number;
    storage?: Storage;
  } = {},
): Promise<PartBackup> {
  const state = new State(new Secret(url));
  await state.migrate();
  let aheadMs = 0;
  const tables = new PartTables(state.database, { aheadMs: () => aheadMs });
  if (!await repositoryExists(storage)) await createRepository({ storage, key: null });
  const repository = (through: Storage = storage, clock: Clock = systemClock) =>
    openRepository({ storage: through, key: null, clock });
  const open = () => connect({ url, applicationName: "backup worker" });
  const common = sessionHolder({ connect: open });

  const job = async (jobId: string): Promise<Job> => {
    const found = await state.jobs.get(jobId, "backup");
    assert.ok(found !== null, jobId);
    return found;
  };
  return {
    ...{ storage, state, job, repository: () => repository() },
    advance: (ms) => void (aheadMs += ms),
    async begin(bounds = {}) {
      const jobId = newJobId("backup", new Date());
      const rest = { kind: "backup", type: "database", reason: null, createdBy: "test" } as const;
      await tables.begin(newJob({ jobId, backupId: jobId, ...rest }, new Date()), {
        parts: FIRST_OF_BACKUP,
        bounds: { ...BOUNDS, ...bounds },
        request: null,
      });
      return jobId;
    },
    async work(jobId, spoilt = {}) {
      const { store, storage: through, open: openSpoilt, holder, ...worker } = spoilt;
      const opened = await repository(through?.(storage), worker.clock);
      const connects = openSpoilt ?? open;
      const definition = backupInParts({
        plan: backupPlan(
          { ...{ backupId: jobId, origin: "manual", limits, relationsAPart, lockTimeoutMs } },
          { writtenBy: "test" },
        ),
        dump: () => dumpOptions(connects, { ...DEFAULT_SETTINGS, databaseProfile: "plain" }),
        connect: connects,
        repository: opened,
        holder: holder ?? common,
        clock: worker.clock ?? systemClock,
      });
      return await runWorker({
        ...{ jobId, worker: crypto.randomUUID(), clock: systemClock, leaseMs: 60_000 },
        definitionOf: () => Promise.resolve(definition),
        ...worker,
        store: store?.(tables) ?? tables,
      });
    },
    async expectSaved(jobId) {
      const { status, error } = await job(jobId);
      assert.deepEqual([status, error], ["completed", null]);
      const opened = await repository();
      assert.deepEqual((await opened.listBackups()).damaged, []);
      assert.deepEqual((await opened.verify({ level: "full" })).problems, []);
      assert.deepEqual(await backupState(opened, jobId), await savedState(url));
    },
    async [Symbol.asyncDispose]() {
      await state.close();
    },
  };
}

/** What a backup by the service holds: all but the service's own. */
async function savedState(url: string) {
  const open = () => connect({ url });
  const dump = await dumpOptions(open, { ...DEFAULT_SETTINGS, databaseProfile: "plain" });
  return await databaseState(url, dump);
}

/** Code and message of what ended a job. */
export function endOf({ status, error }: Job): { status: string; code: string | null } {
  return { status, code: error?.code ?? null };
}

/** A budget for so many parts. */
export function onlyParts(most: number): NonNullable<RunWorkerOptions["budget"]> {
  let begun = 0;
  return {
    allows: () => begun < most,
    enter: () => {
      begun++;
      return { [Symbol.dispose]() {} };
    },
    signal: new AbortController().signal,
  };
}

/** A worker's reports of its own troubles, for tests that provoke them. */
export function collect(): { errors: BackupError[]; onError: (error: BackupError) => void } {
  const errors: BackupError[] = [];
  return { errors, onError: (error) => void errors.push(error) };
}
