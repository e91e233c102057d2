/**
 * The database in a recovery plan: it is restored only when an assessment of that moment finds it empty or
 * damaged, and only what of it is lost; or when the request forces it.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import { toJson } from "../../core/json.ts";
import type { Json } from "../../core/part.ts";
import type { RestoreChoice } from "../../postgres/restore_traces.ts";
import { assessDatabase } from "../../usecases/mend/assess_database.ts";
import { restoreCommand } from "../../usecases/restore/restore_command.ts";
import { findOnce, startOnce } from "../../usecases/jobs/start_once.ts";
import { LEFT_TO_USERS } from "../../usecases/restore/plan_to_fill.ts";
import { startRestore } from "../../usecases/restore/start_restore.ts";
import { startRestoreTest } from "../../usecases/restore/start_test_restore.ts";
import type { StepEnd, StepOutcome } from "../step.ts";
import {
  type Assessed,
  type Difference,
  doubtsOf,
  inWords,
  mismatch,
  unfinishedElsewhere,
  unknownDatabase,
  unreachable,
  withRequest,
} from "./database_words.ts";
import {
  backupOf,
  completedJob,
  earlierDetails,
  reasonOf,
  type RestoreWork,
  type Restoring,
  startOverBackup,
  waitingFor,
} from "./restore_work.ts";

/** A slow database does not become faster by an older state of it. */
const NEVER_RESTORES = "database_performance_degraded";

/** See the module. */
export const databaseRestoring: Restoring = {
  async run(work) {
    const { parameters, execution } = work;
    if (parameters.checkOnly) {
      return parameters.mustMatch ? await verify(work) : endOf(await assess(work), work);
    }
    // One that was started is waited for: what it has done already must not decide anew.
    const started = await findOnce(work.deps, keyOf(work));
    if (started !== null) return waitingFor(started, `job ${started.jobId} restores`);
    return execution.mode === "drill" ? await drill(work) : await restore(work);
  },
  conclude,
};

function keyOf({ idempotencyKey: key }: RestoreWork) {
  return { key, kind: "restore", type: "database" } as const;
}

/** @throws `database_error` when too much could not be looked at, unless a restore is forced anyway */
async function assess(work: RestoreWork): Promise<Assessed> {
  const { deps, parameters, execution, signal } = work;
  const found = await assessDatabase(deps, {
    ...{ backupId: backupOf(work), lookBack: parameters.useLatest, signal },
  });
  const { settings } = await deps.settings();
  const { backupId } = found;
  const isDown = found.condition === "unreachable";
  const command = restoreCommand({
    ...{ settings, backupId, request: {}, targetDatabaseUrl: null, isDown },
  });
  const assessed = { ...found, command };
  if (found.condition === "unknown" && !execution.force) throw unknownDatabase(assessed);
  return assessed;
}

function endOf({ command, ...found }: Assessed, { parameters }: RestoreWork): StepEnd {
  const isDown = found.condition === "unreachable";
  const details: Record<string, Json> = {
    backupType: parameters.backupType,
    ...toJson(found) as Record<string, Json>,
    ...(isDown ? { command } : {}),
  };
  return {
    state: "done",
    found: inWords(found),
    details,
    byHand: [
      ...(isDown ? [`Bring the database back, or restore into another one: ${command}`] : []),
      ...doubtsOf(found),
    ],
  };
}

/** Into a scratch database that is dropped afterwards; nothing else is touched. */
async function drill(work: RestoreWork): Promise<StepOutcome> {
  const { deps, caller } = work;
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const [backupId, reason] = [backupOf(work), reasonOf(work)];
  const job = await startOnce(deps, {
    ...keyOf(work),
    start: (jobId) =>
      startRestoreTest(deps, caller, { jobId, settings, repository, backupId, reason }),
  });
  return waitingFor(job, `job ${job.jobId} restores into a scratch database`);
}

async function restore(work: RestoreWork): Promise<StepOutcome> {
  const { deps, caller, execution, parameters } = work;
  const found = await assess(work);
  const { backupId, condition, scope, unfinished } = found;
  const details = { backupType: parameters.backupType, backupId, condition };
  const skipped = (why: string): StepEnd => {
    return {
      state: "skipped",
      found: `nothing to restore: ${why}`,
      details,
      byHand: doubtsOf(found),
    };
  };
  if (condition === "unreachable") throw unreachable(found);
  if (!execution.force) {
    if (execution.trigger === NEVER_RESTORES) {
      return skipped(`the trigger ${NEVER_RESTORES} never restores without force`);
    }
    if (scope === null && unfinished !== null) throw unfinishedElsewhere(found);
    if (scope === null) return skipped(inWords(found));
  }
  const lost = execution.force ? {} : requestOf(found);
  const job = await startOverBackup(work, () =>
    startOnce(deps, {
      ...keyOf(work),
      start: (jobId) =>
        startRestore(deps, caller, {
          ...{ jobId, backupId, reason: reasonOf(work), targetDatabaseUrl: null, ...lost },
          acceptHazards: parameters.acceptHazards,
          safetyBackupSkipsDamage: condition === "damaged",
        }),
    }));
  return waitingFor(job, `${inWords(found)}; job ${job.jobId} restores`);
}

/** What of the backup is restored. What stands is newer than the backup, and stays. */
export function requestOf(
  { scope, lostTables, unfinished }: Pick<Assessed, "scope" | "lostTables" | "unfinished">,
): RestoreChoice & { completes?: string } {
  if (unfinished?.goesOn === true) return { ...unfinished.choice, completes: unfinished.jobId };
  return scope === "tables" ? { tables: lostTables, onlyLost: true } : {};
}

async function conclude(work: RestoreWork, jobId: string): Promise<StepEnd> {
  const job = await completedRestore(work, jobId);
  const result = job.result as {
    safetyBackupId?: string;
    comparison?: { objects: number; differences: Difference[] };
    rowsLoaded?: number;
    plan?: { onlyLost?: string[] };
    leftOut?: { identity: string; reason: string }[];
  };
  const { comparison, safetyBackupId = null, rowsLoaded = 0, plan } = result;
  const isDrill = work.execution.mode === "drill";
  const tables = plan?.onlyLost ?? null;
  const differences = comparison?.differences ?? [];
  const what = tables === null
    ? `backup ${job.backupId} is restored`
    : `what was lost is restored from backup ${job.backupId}: ${listOf(tables)}`;
  return {
    state: "done",
    found: `${what}${isDrill ? " into a scratch database" : ""}: ${rowsLoaded} rows and ` +
      `${comparison?.objects ?? 0} objects compared, ${differences.length} differ`,
    details: {
      backupType: work.parameters.backupType,
      ...{ backupId: job.backupId, jobId, safetyBackupId, rowsLoaded, tables, restored: true },
      objectsCompared: comparison?.objects ?? 0,
      differences: toJson(differences.slice(0, 50)),
    },
    byHand: leftToUsers(result.leftOut ?? []),
  };
}

/** Tables whose rows a restore did not touch because of what others have written; only people know whether they are well. */
export function leftToUsers(leftOut: readonly { identity: string; reason: string }[]): string[] {
  const left = leftOut.filter(({ reason }) => reason === LEFT_TO_USERS);
  if (left.length === 0) return [];
  const tables = listOf(left.map(({ identity }) => identity));
  return [
    `look whether the rows of these are well, of which each is as it was found: ${LEFT_TO_USERS}: ${tables}`,
  ];
}

function listOf(tables: readonly string[]): string {
  const told = tables.slice(0, 10).join(", ");
  return tables.length > 10 ? `${told} and ${tables.length - 10} more` : told;
}

/** @throws the job's error; where only tables are lost, with the request that restores them */
async function completedRestore(work: RestoreWork, jobId: string): Promise<Job> {
  try {
    return await completedJob(work, jobId);
  } catch (thrown) {
    const error = toBackupError(thrown);
    if (error.code === "cancelled" || work.execution.mode === "drill") throw error;
    // Whatever another look meets, the job's error is what counts.
    const found = await assess(work).catch(() => null);
    throw found?.scope === "tables" ? withRequest(error, found) : error;
  }
}

/** What the restore compared, and a fresh look. */
async function verify(work: RestoreWork): Promise<StepEnd> {
  const { parameters, execution } = work;
  const details = { backupType: parameters.backupType };
  const restored = earlierDetails(work).find((each) => each.restored === true);
  if (restored === undefined) {
    const found = "nothing was restored, so that there is nothing to verify";
    return { state: "skipped", found, details, byHand: [] };
  }
  const { rowsLoaded, objectsCompared } = restored;
  const compared =
    `${rowsLoaded} rows and ${objectsCompared} objects were compared after the restore`;
  const differences = restored.differences as unknown as Difference[];
  if (differences.length > 0) throw mismatch(String(restored.backupId), differences);
  if (execution.mode === "drill") {
    return { state: "done", found: `${compared}, all as saved`, details, byHand: [] };
  }
  const found = await assess(work);
  if (found.condition !== "sound") {
    const { condition, backupId, findings } = found;
    throw mismatch(backupId, findings.map((line) => ({ identity: condition, what: line })));
  }
  const end = endOf(found, work);
  return { ...end, found: `${end.found}; ${compared}, all as saved` };
}
