/**
 * Makes one backup of a database: the page to read first.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { newJobId } from "../core/ids.ts";
import type { DataPart } from "../core/model.ts";
import type { ProgressListener } from "../core/progress.ts";
import {
  type DatabaseReading,
  type DataLimits,
  DEFAULT_LIMITS,
  describeTableData,
  type DumpOptions,
  type OpenSnapshot,
  openSnapshot,
  planUnits,
  readDatabase,
  recheck,
} from "../dump/mod.ts";
import { pinSettings, refuseViewsOfUsers } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";
import type {
  BackupRecord,
  BackupTotals,
  Manifest,
  Repository,
  WrittenTotals,
} from "../repository/mod.ts";
import { BackupProgress } from "./backup_progress.ts";
import { backupRows } from "./backup_rows.ts";
import type { RowCopier } from "./copy_rows.ts";

/** What to save and how. */
export interface BackupRequest {
  /** Id of the backup. @default a new one */
  backupId?: string;
  /** In the operator's words. @default null */
  reason?: string | null;
  origin: BackupRecord["origin"];
  /** Ref of the Supabase project. @default null */
  projectRef?: string | null;
  dump: DumpOptions;
  /** Connections that read rows at a time. @default 2 */
  jobs?: number;
  limits?: DataLimits;
  /** How long to wait for the lock of a table. @default 60000 */
  lockTimeoutMs?: number;
  /** What to do about rows that the server cannot read. @default "fail" */
  onDamage?: "fail" | "skip";
  /** How often to begin again when definitions change meanwhile. @default 3 */
  attempts?: number;
}

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
 * @throws {BackupError} `lock_timeout`, `concurrent_ddl`, `census_mismatch`, `damaged_source`,
 * `insufficient_privilege`, `database_*`, `repository_*`, `storage_*`, `cancelled`
 */
export async function backupDatabase(options: BackupDatabaseOptions): Promise<BackupRecord> {
  const attempts = options.request.attempts ?? 3;
  for (let attempt = 1;; attempt++) {
    try {
      return await attemptBackup(options);
    } catch (error) {
      const again = error instanceof BackupError && error.code === "concurrent_ddl" &&
        attempt < attempts;
      if (!again) throw options.signal?.aborted === true ? cancelled(error) : error;
    }
  }
}

async function attemptBackup(options: BackupDatabaseOptions): Promise<BackupRecord> {
  const { request, repository, clock, signal } = options;
  const createdAt = clock.now().toISOString();
  const progress = new BackupProgress(options.onProgress);
  const sessions: Session[] = [];
  const openSession = async () => {
    signal?.throwIfAborted();
    const session = await options.connect();
    sessions.push(session);
    await pinSettings(session);
    await refuseViewsOfUsers(session);
    return session;
  };
  try {
    const coordinator = await openSession();
    const observer = await openSession();

    progress.phase("locking tables");
    const snapshot = await openSnapshot(coordinator, {
      finder: observer,
      dump: request.dump,
      lockTimeoutMs: request.lockTimeoutMs ?? 60_000,
      signal,
    });

    progress.phase("reading definitions");
    const model = await readDatabase(coordinator, request.dump);
    await recheck(observer, model.rowVersions);
    model.tableData = await describeTableData(coordinator, model.entries, request.dump);
    requireReadable(model, snapshot);

    await repository.claimOwner({
      projectRef: request.projectRef ?? null,
      systemIdentifier: model.source.systemIdentifier,
      database: model.source.database,
    });
    const parent = await repository.rememberBackup("latest");
    const limits = request.limits ?? DEFAULT_LIMITS;
    const units = planUnits(model, limits);
    const remarks = new Set(model.remarks);
    progress.begin(units);
    const { parts: dataParts, written } = await backupRows(model, units, {
      repository,
      coordinator,
      snapshotId: snapshot.id,
      openSession,
      workers: request.jobs ?? 2,
      copier: options.copier,
      limits,
      onDamage: request.onDamage ?? "fail",
      onRemark: (remark) => remarks.add(remark),
      onBytes: (bytes) => progress.bytes(bytes),
      onUnit: () => progress.unitDone(),
      signal,
    });
    const before = repository.written;
    // Locks and snapshot have lasted to here, or this fails.
    await coordinator.execute("COMMIT");

    progress.phase("writing the manifest");
    signal?.throwIfAborted();
    const manifest: Manifest = {
      format: 1,
      backupId: request.backupId ??
        newJobId(request.origin === "safety" ? "safety" : "backup", clock.now()),
      type: "database",
      createdAt,
      parent,
      source: model.source,
      consistency: {
        level: "one-moment",
        strategy: "session",
        snapshotAt: snapshot.takenAt,
        lsn: snapshot.lsn,
        remarks: [...remarks].sort(),
      },
      entries: await repository.writeLines(model.entries),
      tableData: await repository.writeLines(model.tableData),
      dataParts: await repository.writeLines(dataParts),
      totals: totalsOf(model, dataParts, [...written, since(before, repository.written)]),
    };
    return await repository.commitBackup(manifest, {
      reason: request.reason ?? null,
      origin: request.origin,
      completedAt: clock.now().toISOString(),
      writtenBy: options.writtenBy,
    });
  } finally {
    await closeAll(sessions);
  }
}

/** @throws `insufficient_privilege` naming tables whose rows this role may not read */
function requireReadable(model: DatabaseReading, snapshot: OpenSnapshot): void {
  const unlocked = model.entries.filter((entry) =>
    entry.kind === "table-data" && entry.table !== undefined &&
    !snapshot.locked.has(entry.table.oid)
  ).map((entry) => entry.table!.sqlName);
  if (unlocked.length === 0) return;
  const names = unlocked.slice(0, 10).join(", ") + (unlocked.length > 10 ? ", …" : "");
  throw new BackupError(
    "insufficient_privilege",
    `Cannot save the rows of ${unlocked.length} tables: the role has no right to read ${names}`,
    {
      hint: "Grant SELECT on them (or pg_read_all_data), or leave out their data.",
      details: { tables: unlocked },
    },
  );
}

async function closeAll(sessions: readonly Session[]): Promise<void> {
  await Promise.all(sessions.map((session) => session.close()));
}

function cancelled(cause: unknown): BackupError {
  if (cause instanceof BackupError && cause.code === "cancelled") return cause;
  return new BackupError("cancelled", "Cannot finish the backup: it was cancelled", { cause });
}

function totalsOf(
  model: DatabaseReading,
  parts: readonly DataPart[],
  written: readonly WrittenTotals[],
): BackupTotals {
  const statements = model.entries.flatMap((entry) => Object.values(entry.statements).flat());
  const sqlBytes = statements.reduce((sum: number, sql: string) => sum + sql.length, 0);
  const sumOf = (pick: (totals: WrittenTotals) => number) =>
    written.reduce((sum, totals) => sum + pick(totals), 0);
  return {
    entries: model.entries.length,
    tables: model.tableData.length,
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    rawBytes: sqlBytes + parts.reduce((sum, part) => sum + part.rawBytes, 0),
    newStoredBytes: sumOf((totals) => totals.newStoredBytes),
    chunks: sumOf((totals) => totals.chunks),
    newChunks: sumOf((totals) => totals.newChunks),
  };
}

function since(before: WrittenTotals, after: WrittenTotals): WrittenTotals {
  return {
    chunks: after.chunks - before.chunks,
    newChunks: after.newChunks - before.newChunks,
    rawBytes: after.rawBytes - before.rawBytes,
    newStoredBytes: after.newStoredBytes - before.newStoredBytes,
  };
}
