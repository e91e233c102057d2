/**
 * The database in a recovery plan: it is restored only when an assessment of that moment finds it empty or
 * damaged, or when the request forces it.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import type { Json } from "../../core/part.ts";
import { requestLine } from "../../core/request_line.ts";
import {
  assessDatabase,
  type DatabaseAssessment,
  type FullerBackup,
} from "../../usecases/mend/assess_database.ts";
import { restoreCommand } from "../../usecases/restore/restore_command.ts";
import { findOnce, startOnce } from "../../usecases/jobs/start_once.ts";
import { startRestore } from "../../usecases/restore/start_restore.ts";
import { startRestoreTest } from "../../usecases/restore/start_test_restore.ts";
import type { StepEnd, StepOutcome } from "../step.ts";
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

/** An assessment, with the command that restores from anywhere. */
async function assess(work: RestoreWork): Promise<DatabaseAssessment & { command: string }> {
  const { deps, parameters, signal } = work;
  const found = await assessDatabase(deps, {
    ...{ backupId: backupOf(work), lookBack: parameters.useLatest, signal },
  });
  const { settings } = await deps.settings();
  const { backupId } = found;
  const isDown = found.condition === "unreachable";
  const command = restoreCommand({
    ...{ settings, backupId, request: {}, targetDatabaseUrl: null, isDown },
  });
  return { ...found, command };
}

function endOf(
  { command, ...found }: DatabaseAssessment & { command: string },
  { parameters }: RestoreWork,
): StepEnd {
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
      ...fullerLines(found),
    ],
  };
}

/** The newest backup may have saved the loss. */
function fullerLines({ fuller, backupId }: DatabaseAssessment): string[] {
  if (fuller === null) return [];
  return [
    `backup ${fuller.backupId} of ${fuller.createdAt} holds ${fuller.rows} rows, more than twice the ` +
    `${fuller.rowsSince} of ${backupId}: if rows were lost before that was made, restore the earlier ` +
    `one: ${requestFor(fuller.backupId)}`,
  ];
}

function requestFor(backupId: string, more: { tables?: string[] } = {}): string {
  return requestLine("restore", { backupId, type: "database", ...more });
}

function inWords({ condition, backupId, findings, tablesCompared }: DatabaseAssessment): string {
  const beside = `beside backup ${backupId}`;
  if (condition === "sound") return `sound: ${tablesCompared} tables looked at ${beside}`;
  const [first] = findings;
  const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : "";
  return `${condition} ${beside}: ${first}${more}`;
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
  const { backupId, condition } = found;
  const details = { backupType: parameters.backupType, backupId, condition };
  const skipped = (why: string): StepEnd => {
    const byHand = fullerLines(found);
    return { state: "skipped", found: `nothing to restore: ${why}`, details, byHand };
  };
  if (condition === "unreachable") throw unreachable(found);
  if (!execution.force) {
    if (execution.trigger === NEVER_RESTORES) {
      return skipped(`the trigger ${NEVER_RESTORES} never restores without force`);
    }
    if (condition === "sound") return skipped(inWords(found));
    if (condition === "unclear") throw unclear(found);
  }
  const job = await startOverBackup(work, () =>
    startOnce(deps, {
      ...keyOf(work),
      start: (jobId) =>
        startRestore(deps, caller, {
          ...{ jobId, backupId, reason: reasonOf(work), targetDatabaseUrl: null },
          acceptHazards: parameters.acceptHazards,
          safetyBackupSkipsDamage: condition === "damaged",
        }),
    }));
  return waitingFor(job, `${inWords(found)}; job ${job.jobId} restores`);
}

/** Tables that one request names. */
const MOST_TABLES = 50;

/** A restore could undo somebody's work, and to do nothing could leave a loss. */
function unclear(
  { command, backupId, findings, lostTables, ...found }: DatabaseAssessment & { command: string },
) {
  if (isSavedLoss(found)) return savedLoss(found.fuller, { backupId });
  const tables = lostTables.slice(0, MOST_TABLES);
  const first = tables.length < lostTables.length
    ? `, the first ${MOST_TABLES} of ${lostTables.length} tables by`
    : "";
  const them = tables.length === 0 ? "" : `${first}: ${requestFor(backupId, { tables })}`;
  return new BackupError(
    "restore_refused",
    `Cannot decide whether to restore ${backupId}: the database is ` +
      inWords({ ...found, backupId, findings, lostTables }),
    {
      hint:
        "Look at the findings. If it is a loss, restore what is lost and leave the rest as it is" +
        `${them}; or restore all of the database: post the trigger again with force. If it is no loss, ` +
        "nothing has to be done.",
      details: { backupId, command, findings },
    },
  );
}

type SavedLoss = { fuller: FullerBackup };

/** The backup agrees with the database because it was made after the loss. */
function isSavedLoss<T extends Pick<DatabaseAssessment, "fuller">>(
  found: T,
): found is T & SavedLoss {
  return found.fuller !== null && found.fuller.lost.length > 0;
}

function savedLoss(fuller: FullerBackup, { backupId }: { backupId: string }): BackupError {
  const { createdAt, rows, rowsSince, lost } = fuller;
  const more = lost.length > 1 ? ` (and ${lost.length - 1} more)` : "";
  return new BackupError(
    "restore_refused",
    `Cannot take the database for sound: backup ${fuller.backupId} of ${createdAt} holds ${rows} rows, ` +
      `${backupId} after it holds ${rowsSince}, and beside the earlier one ${lost[0]}${more}`,
    {
      hint: `If rows were lost, restore the earlier backup: ${requestFor(fuller.backupId)}; with ` +
        `"dryRun": true it tells what it would do. If they were removed on purpose, nothing has to be done.`,
      details: { backupId, fuller: toJson(fuller) },
    },
  );
}

function unreachable({ command, backupId, findings }: DatabaseAssessment & { command: string }) {
  return new BackupError(
    "database_unreachable",
    `Cannot restore ${backupId}: the database cannot be reached`,
    {
      hint: `Bring the database back and post the trigger again, or restore into another one: ` +
        command,
      details: { backupId, command, findings },
    },
  );
}

async function conclude(work: RestoreWork, jobId: string): Promise<StepEnd> {
  const job = await completedJob(work, jobId);
  const result = job.result as {
    safetyBackupId?: string;
    comparison?: Compared;
    rowsLoaded?: number;
  };
  const { comparison, safetyBackupId = null, rowsLoaded = 0 } = result;
  const isDrill = work.execution.mode === "drill";
  const differences = comparison?.differences ?? [];
  return {
    state: "done",
    found: `backup ${job.backupId} is restored${isDrill ? " into a scratch database" : ""}: ` +
      `${rowsLoaded} rows, ${comparison?.objects ?? 0} objects compared, ` +
      `${differences.length} differ`,
    details: {
      backupType: work.parameters.backupType,
      ...{ backupId: job.backupId, jobId, safetyBackupId, rowsLoaded, restored: true },
      objectsCompared: comparison?.objects ?? 0,
      differences: toJson(differences.slice(0, 50)),
    },
    byHand: [],
  };
}

interface Compared {
  objects: number;
  differences: { identity: string; what: string }[];
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
  const compared = `${restored.objectsCompared} objects were compared after the restore`;
  const differences = restored.differences as unknown as Compared["differences"];
  if (differences.length > 0) throw mismatch(String(restored.backupId), differences);
  if (execution.mode === "drill") {
    return { state: "done", found: `${compared}, all as saved`, details, byHand: [] };
  }
  const found = await assess(work);
  if (isSavedLoss(found)) throw savedLoss(found.fuller, found);
  if (found.condition !== "sound") {
    const { condition, backupId, findings } = found;
    const what = findings.map((line) => ({ identity: condition, what: line }));
    throw mismatch(backupId, what);
  }
  const end = endOf(found, work);
  return { ...end, found: `${end.found}; ${compared}, all as saved` };
}

function mismatch(backupId: string, differences: Compared["differences"]): BackupError {
  const [first] = differences;
  return new BackupError(
    "restore_mismatch",
    `Cannot confirm the restore of ${backupId}: ${first?.identity}: ${first?.what}`,
    {
      hint: "Look at the differences. If others wrote to the database meanwhile, verify it again.",
      details: { backupId, differences: differences.slice(0, 50) },
    },
  );
}
