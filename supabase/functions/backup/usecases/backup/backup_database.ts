/**
 * Makes one backup of a database from beginning to end in this process; `backup_in_parts.ts` says how.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import type { ProgressListener } from "../../core/progress.ts";
import {
  type DataLimits,
  DEFAULT_LIMITS,
  type DumpOptions,
  sessionHolder,
} from "../../dump/mod.ts";
import { runInProcess } from "../../jobs/run_in_process.ts";
import type { Session } from "../../postgres/session.ts";
import type { DatabaseRecord, Repository } from "../../repository/mod.ts";
import { RELATIONS_AT_ONCE, RELATIONS_OF_A_BACKUP } from "../jobs/relations_a_part.ts";
import { backupInParts, type BackupPlan } from "./backup_in_parts.ts";
import type { RowCopier } from "./copy_rows.ts";
import { linesInMemory } from "./lines_in_memory.ts";
import { newBackupId } from "./new_backup_id.ts";

/** What to save and how. */
export interface BackupRequest {
  /** Id of the backup. @default a new one */
  backupId?: string;
  /** In the operator's words. @default null */
  reason?: string | null;
  origin: DatabaseRecord["origin"];
  /** Ref of the Supabase project. @default null */
  projectRef?: string | null;
  dump: DumpOptions;
  /** Connections that read rows at a time. @default 2 */
  jobs?: number;
  limits?: DataLimits;
  /** How long to wait for the lock of a table. @default 60000 */
  lockTimeoutMs?: number;
  /** Whoever waits longer than this behind the backup's locks makes it begin again. @default null, never */
  yieldAfterMs?: number | null;
  /** See `BackupPlan`. @default 43200 */
  maxKeeperSeconds?: number;
  /** What to do about rows that the server cannot read. @default "fail" */
  onDamage?: "fail" | "skip";
  /** Patterns of tables whose rows are copied before others. @default [] */
  criticalTables?: readonly string[];
  /** See `BackupPlan`. @default all at once, as far as they fit into half a gigabyte with this program */
  relationsAPart?: number | null;
  /** How often to begin when definitions change meanwhile. @default 5 */
  attempts?: number;
}

/** Threads always have a part to go on with, also while others wait for their check. */
const PARTS_A_THREAD = 4;

/** What {@linkcode backupDatabase} works with. */
export interface BackupDatabaseOptions {
  /** Opens a connection to the database that is saved. */
  connect: () => Promise<Session>;
  repository: Repository;
  /** Threads that copy the rows. @default `request.jobs` sessions of this one */
  copier?: RowCopier | undefined;
  clock: Clock;
  request: BackupRequest;
  /** Release that writes. */
  writtenBy: string;
  signal?: AbortSignal;
  onProgress?: ProgressListener;
}

/**
 * Saves the database and returns the record of the backup, which is complete when it is listed.
 *
 * @throws {BackupError} `lock_timeout`, `concurrent_ddl`, `snapshot_lost`, `census_mismatch`,
 * `damaged_source`, `insufficient_privilege`, `database_*`, `repository_*`, `storage_*`, `cancelled`
 */
export async function backupDatabase(options: BackupDatabaseOptions): Promise<DatabaseRecord> {
  const { request, repository, clock, connect, copier, writtenBy, signal, onProgress } = options;
  const prefix = request.origin === "safety" ? "safety" : "backup";
  const backupId = request.backupId ?? await newBackupId(repository, { clock, prefix });
  const reading = request.relationsAPart === undefined
    ? { relationsAPart: RELATIONS_AT_ONCE, relationsAtOnce: RELATIONS_OF_A_BACKUP }
    : {};
  const plan = { ...backupPlan({ ...request, backupId }, { writtenBy }), ...reading };
  const { reason } = plan;
  const holder = sessionHolder({ connect });
  const dump = () => Promise.resolve(request.dump);
  const shelf = linesInMemory();
  const access = { plan, dump, connect, repository, holder, clock, copier, shelf };
  await runInProcess(backupInParts(access), {
    ...{ clock, signal, onProgress },
    job: {
      ...{ jobId: backupId, kind: "backup", type: "database", backupId, reason, createdBy: null },
    },
    concurrency: copier === undefined ? request.jobs ?? 2 : PARTS_A_THREAD * copier.concurrency,
    maxRounds: request.attempts ?? 5,
  });
  return (await repository.readBackup(backupId)).record;
}

/** A request with everything decided that it leaves open. */
export function backupPlan(
  request: Omit<BackupRequest, "dump" | "backupId"> & { backupId: string },
  { writtenBy }: { writtenBy: string },
): BackupPlan {
  const { origin, backupId } = request;
  return {
    backupId,
    reason: request.reason ?? null,
    projectRef: request.projectRef ?? null,
    limits: request.limits ?? DEFAULT_LIMITS,
    lockTimeoutMs: request.lockTimeoutMs ?? 60_000,
    yieldAfterMs: request.yieldAfterMs ?? null,
    maxKeeperSeconds: request.maxKeeperSeconds ?? 43_200,
    onDamage: request.onDamage ?? "fail",
    criticalTables: request.criticalTables ?? [],
    relationsAPart: request.relationsAPart ?? null,
    ...{ origin, writtenBy },
  };
}
