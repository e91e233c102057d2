/**
 * Restores a backup into a database: the page to read first.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import { BackupError } from "../../core/errors.ts";
import type { ProgressListener } from "../../core/progress.ts";
import type { DumpOptions } from "../../dump/mod.ts";
import { pinSettings } from "../../postgres/pinned_settings.ts";
import type { Session } from "../../postgres/session.ts";
import type { DatabaseRecord, Repository } from "../../repository/mod.ts";
import {
  analyze,
  type Applied,
  applyRestore,
  type BackupFacts,
  borrowRoles,
  type Comparison,
  describePlan,
  type LeftOut,
  ownersToBorrow,
  planRestore,
  type PlanSummary,
  prepareSession,
  refuseUnfit,
  removeTraces,
  type RestorePlan,
  type RestoreRequest as PlanRequest,
  returnRoles,
  type RowLoader,
  summarizePlan,
  type TargetFacts,
} from "../../restore/mod.ts";
import { backupDatabase } from "../backup/backup_database.ts";
import { useBulkSettings, waitForDisk } from "../backup/bulk_settings.ts";
import { lockTables } from "../backup/lock_tables.ts";
import { commitAll, whyUndone } from "../commit_all.ts";
import { RELATIONS_A_SLICE, RELATIONS_AT_ONCE } from "../jobs/relations_a_part.ts";
import { readRows, type RowReader } from "./read_rows.ts";
import { refuseRows } from "./refuse_rows.ts";
import { readBackupFacts, readLiveSlices, readTarget, wholeDatabase } from "./restore_facts.ts";
import { withTrace } from "./with_trace.ts";

/** What to restore and how. */
export interface RestoreRequest extends PlanRequest {
  /** Only plans. @default false */
  dryRun?: boolean;
  /** Connections that load at a time into an empty database. @default 2 */
  jobs?: number;
  /** Over a live database: makes no backup of it first, which is a hazard. @default false */
  skipSafetyBackup?: boolean;
  /**
   * Over a damaged database: the safety backup leaves out rows that the server cannot read, and says
   * which, rather than fail. @default false
   */
  safetyBackupSkipsDamage?: boolean;
  /** How long to wait for the lock of a table. @default 60000 */
  lockTimeoutMs?: number;
}

/** What {@linkcode restoreDatabase} works with. */
export interface RestoreDatabaseOptions {
  /** Opens a connection to the target. */
  connect: () => Promise<Session>;
  /** Where the backup is. */
  repository: Repository;
  /** Threads that load rows into an empty database. @default `request.jobs` sessions of this one */
  loader?: ((role: TargetFacts["role"]) => RowLoader) | undefined;
  /** Threads that read rows for the sessions of this one. @default this one reads them */
  reader?: RowReader | undefined;
  /** An id, or `latest`. */
  backupId: string;
  /** Entries of the backup that are held as they are; of more most is packed. @default 40000 */
  entriesAtOnce?: number;
  request: RestoreRequest;
  /** Makes the safety backup; its id stands in the report. @default into `repository` */
  safetyBackup?: (dump: DumpOptions) => Promise<DatabaseRecord>;
  clock: Clock;
  /** Release that writes the safety backup. */
  writtenBy: string;
  signal?: AbortSignal | undefined;
  onProgress?: ProgressListener | undefined;
}

/** What came of a restore. */
export interface RestoreReport {
  /** Of a dry run: the plan in a few sentences. */
  summary?: string[];
  backupId: string;
  dryRun: boolean;
  plan: PlanSummary;
  /** What the backup holds and the target did not get, with reasons. */
  leftOut: LeftOut[];
  /** The way back; null where none was made. */
  safetyBackupId: string | null;
  /** Null for a dry run. */
  comparison: Comparison | null;
  rowsLoaded: number;
  /** Seconds by phase. */
  seconds: Record<string, number>;
}

/**
 * Restores a backup, or only plans it.
 *
 * @throws {BackupError} `backup_not_found`, `invalid_request`, `target_unfit`, `target_not_empty` and
 * `restore_refused` before anything is changed; `restore_mismatch`, `lock_timeout`, `database_*`,
 * `object_*`, `storage_*` and `cancelled` later. Over a live database every failure leaves it as it was,
 * but for one that says that it cannot tell: the answer to COMMIT was lost.
 */
export async function restoreDatabase(options: RestoreDatabaseOptions): Promise<RestoreReport> {
  const backup = await readBackupFacts(options);
  const sessions: Session[] = [];
  const openSession = async () => {
    const session = await options.connect();
    sessions.push(session);
    await pinSettings(session);
    return session;
  };
  try {
    const session = await openSession();
    const target = await readTarget(session, backup);
    const plan = makePlan(options, backup, target);
    if (options.request.dryRun === true) return reportOf(plan, { dryRun: true });
    refuseUnfit(plan);
    await prepareSession(session, target, options.request);
    const work = { options, backup, session, openSession };
    return plan.mode === "empty"
      ? await withTrace(
        { ...options, session, plan },
        () => intoEmpty(work, plan, target),
      )
      : await allOrNothing(work, plan, target);
  } catch (error) {
    throw whyUndone(error, { signal: options.signal, what: "restore" });
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}

interface Work {
  options: RestoreDatabaseOptions;
  backup: BackupFacts;
  session: Session;
  openSession: () => Promise<Session>;
}

/** Everything in parallel, each piece in a transaction of its own. */
async function intoEmpty(
  work: Work,
  plan: RestorePlan,
  target: TargetFacts,
): Promise<RestoreReport> {
  const { options, session, openSession } = work;
  const { jobs = 2 } = options.request;
  const workers: Session[] = [];
  for (let count = 1; count < jobs; count++) {
    const worker = await openSession();
    await prepareSession(worker, target, options.request);
    workers.push(worker);
  }
  const sessions = [session, ...workers];
  for (const each of sessions) await useBulkSettings(each, jobs);
  try {
    const applied = await apply(work, { plan, target, workers });
    await waitForDisk(session);
    return reportOf(plan, { applied });
  } catch (error) {
    // The rest was made and will be used.
    if (error instanceof BackupError && error.details?.failed !== undefined) {
      await waitForDisk(session);
    }
    throw error;
  }
}

/**
 * Locks first, so that nothing is written any more; then the plan again, because the database may have
 * changed before the locks; then the way back; then everything in the same transaction.
 */
async function allOrNothing(
  work: Work,
  firstPlan: RestorePlan,
  firstTarget: TargetFacts,
): Promise<RestoreReport> {
  const { options, session } = work;
  const role = firstTarget.role.name;
  const owners = await ownersToBorrow(session);
  const there = new Set(firstTarget.roles.map((each) => each.name));
  const borrowed = new Set([...firstPlan.borrowRoles.filter((name) => there.has(name)), ...owners]);
  // The safety backup reads by connections of its own, which see only memberships that are committed.
  const lent = makesSafetyBackup(firstPlan, options) ? owners : [];
  await borrowRoles(session, lent, role);
  try {
    await session.execute("BEGIN");
    await borrowRoles(session, [...borrowed], role);
    const replaced = await replaceAll(work, firstPlan, [...borrowed]);
    replaced.applied.leftOut.push(...await analyze(session, replaced.plan));
    return reportOf(replaced.plan, replaced);
  } catch (error) {
    if (lent.length > 0) await giveBack(work, lent, { role, error });
    throw error;
  }
}

/** Ends memberships after a failure; the session that failed may be of no more use. */
async function giveBack(
  { session, openSession }: Work,
  lent: readonly string[],
  { role, error }: { role: string; error: unknown },
): Promise<void> {
  await session.close();
  try {
    await returnRoles(await openSession(), lent, role);
  } catch (cause) {
    if (!(error instanceof BackupError) || !(cause instanceof BackupError)) throw error;
    throw new BackupError(error.code, error.message, {
      hint: `${error.hint ?? ""} Role ${role} is still a member of ${
        lent.join(", ")
      }: revoke that.`,
      details: { ...error.details, memberships: lent },
      cause,
    });
  }
}

/** The transaction of {@linkcode allOrNothing}. */
async function replaceAll(work: Work, firstPlan: RestorePlan, borrowed: readonly string[]) {
  const { options, backup, session } = work;
  await lockTables(session, firstPlan);
  const target = await readTarget(session, backup);
  const plan = makePlan(options, backup, target);
  plan.borrowRoles = [...new Set([...borrowed, ...plan.borrowRoles])];
  refuseUnfit(plan);
  const unlocked = plan.lock.filter((name) => !firstPlan.lock.includes(name));
  if (unlocked.length > 0) {
    throw new BackupError(
      "concurrent_ddl",
      `Cannot restore ${plan.backupId}: ${unlocked.join(", ")} appeared while the locks were taken`,
      { hint: "Nothing was changed. Restore again when no migration is running." },
    );
  }
  if (plan.onlyLost !== undefined) await refuseRows(session, plan);
  const safety = makesSafetyBackup(plan, options) ? await makeSafetyBackup(options, backup) : null;
  const applied = await apply(work, { plan, target, workers: [] });
  // The event trigger by which the platform's API learns of new tables was silent.
  if (plan.target === "supabase") await session.execute("NOTIFY pgrst, 'reload schema'");
  if (plan.mode === "over") await removeTraces(session, options.request);
  await commitAll(session, {
    whether: `${plan.backupId} was restored`,
    hint: "The database is either wholly the old one or wholly the restored one. Look at it, or " +
      "restore again.",
  });
  return { plan, applied, safetyBackupId: safety?.backupId ?? null };
}

function makesSafetyBackup(plan: RestorePlan, { request }: RestoreDatabaseOptions): boolean {
  return plan.mode === "over" && request.skipSafetyBackup !== true;
}

async function apply(
  { options, backup, session }: Work,
  run: { plan: RestorePlan; target: TargetFacts; workers: Session[] },
): Promise<Applied> {
  const { repository, reader, loader, signal, onProgress } = options;
  return await applyRestore({
    plan: run.plan,
    entries: backup.entries,
    session,
    workers: run.workers,
    role: run.target.role,
    readPieces: readRows({ repository, reader }),
    loader: loader?.(run.target.role),
    readTarget: (reader) =>
      readLiveSlices(reader, backup, {
        relationsAtOnce: RELATIONS_AT_ONCE,
        relationsASlice: RELATIONS_A_SLICE,
      }),
    signal,
    onProgress,
  });
}

function makePlan(
  options: RestoreDatabaseOptions,
  backup: BackupFacts,
  target: TargetFacts,
): RestorePlan {
  const { request } = options;
  return planRestore({ backup, target, request, safetyBackup: request.skipSafetyBackup !== true });
}

async function makeSafetyBackup(
  options: RestoreDatabaseOptions,
  backup: BackupFacts,
): Promise<DatabaseRecord> {
  const dump = wholeDatabase(backup);
  try {
    if (options.safetyBackup !== undefined) return await options.safetyBackup(dump);
    return await backupDatabase({
      connect: options.connect,
      repository: options.repository,
      clock: options.clock,
      request: {
        origin: "safety",
        reason: `before the restore of ${backup.backupId}`,
        dump,
        ...(options.request.jobs === undefined ? {} : { jobs: options.request.jobs }),
      },
      writtenBy: options.writtenBy,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } catch (error) {
    if (!(error instanceof BackupError) || error.code === "cancelled") throw error;
    throw new BackupError(
      error.code,
      `Cannot make the safety backup before the restore of ${backup.backupId}: ${error.message}`,
      {
        hint: "Nothing was changed. Remove the cause, or skip the safety backup and accept the " +
          "hazard no-safety-backup.",
        cause: error,
      },
    );
  }
}

export function reportOf(
  plan: RestorePlan,
  result: { dryRun?: boolean; applied?: Applied; safetyBackupId?: string | null },
): RestoreReport {
  const { applied, dryRun = false } = result;
  return {
    ...(dryRun ? { summary: describePlan(plan) } : {}),
    backupId: plan.backupId,
    dryRun,
    plan: summarizePlan(plan),
    leftOut: [...plan.leftOut, ...(applied?.leftOut ?? [])],
    safetyBackupId: result.safetyBackupId ?? null,
    comparison: applied?.comparison ?? null,
    rowsLoaded: applied?.rowsLoaded ?? 0,
    seconds: applied?.seconds ?? {},
  };
}
