/**
 * Starts what is due: what was asked for in SQL or for this time, backups by their intervals, verification,
 * cleanup, copies. However many ticks come at the same moment, one of them does it.
 *
 * @module
 */
import { type BackupError, toBackupError } from "../../core/errors.ts";
import { newJobId } from "../../core/ids.ts";
import { type Job, type JobError, type JobType, type NewJob, toJobError } from "../../core/job.ts";
import { hasEnded } from "../../core/recovery.ts";
import type { Settings } from "../../core/settings.ts";
import type { PendingBackup } from "../../state/pending_backups.ts";
import type { Caller, Deps } from "../deps.ts";
import type { PointPlan } from "../jobs/job_request.ts";
import { recordFailedStart } from "../jobs/record_failed_start.ts";
import { startBackup } from "../backup/start_backup.ts";
import { startCleanup } from "../keep/start_cleanup.ts";
import { whyLeftOut } from "../points/plan_point.ts";
import { beginScheduled } from "../points/schedule_point.ts";
import { startPoint } from "../points/start_point.ts";
import { startReplicate } from "../replicate/start_replicate.ts";
import { startRestoreTest } from "../restore/start_test_restore.ts";
import { copyCleanupKey, replicationKey } from "../people/tell_end.ts";
import { startDueVerification } from "../verify/start_due_verification.ts";
import { type AllRuns, type Due, INTERVALS, whatIsDue } from "./what_is_due.ts";

/** Who asks for what runs by itself; the rows of jobs say so. */
const SCHEDULE = "schedule";

/** What was started, and what was not and why. */
export interface DueReport {
  started: string[];
  skipped: { what: string; reason: string }[];
}

/** Null when somebody else is about it. @throws `database_*`: what fails to start is recorded and told */
export async function startDue(deps: Deps): Promise<DueReport | null> {
  return await deps.state.latestRuns.alone(async () => {
    const report: DueReport = { started: [], skipped: [] };
    const recovery = await runningRecovery(deps);
    if (recovery !== null) {
      const reason = `the recovery ${recovery} runs: a backup would save the damage`;
      return { ...report, skipped: [{ what: "everything", reason }] };
    }
    const run: DueRun = { deps, report, settings: (await deps.settings()).settings };
    await startAskedBackups(run);
    await startAskedTests(run);
    const runs = await deps.state.latestRuns.read();
    const due = whatIsDue(run.settings, runs, runs.now);
    const types = (Object.keys(due.backups) as JobType[]).filter((type) => due.backups[type].isDue);
    await startBackups(run, types);
    if (due.verification.isDue) {
      await attempt(run, "verification", async () => {
        const job = await startDueVerification(deps, caller(deps));
        return job === null ? [] : [job.jobId];
      }, (error) => recordFailure(deps, { ...ownJob(deps, "verify"), error }));
    }
    if (due.cleanup.isDue) {
      await attempt(run, "cleanup", async () => {
        return [(await startCleanup(deps, caller(deps), { dryRun: false })).jobId];
      }, (error) => recordFailure(deps, { ...ownJob(deps, "cleanup"), error }));
    }
    await startOnCopies(run, due.copies, {
      ...{ kind: "replicate", what: "copy to", key: replicationKey },
      start: (destination) =>
        startReplicate(deps, caller(deps), { destination, level: "quick", dryRun: false }),
    });
    await startOnCopies(run, due.cleanup.isDue ? {} : due.copyCleanups, {
      ...{ kind: "cleanup", what: "cleanup of", key: copyCleanupKey },
      start: (destination) => startCleanup(deps, caller(deps), { destination, dryRun: false }),
    });
    await tellOfMissed(run, runs);
    return report;
  });
}

/** The execution of a recovery plan that works on the live project; drills are in nobody's way. */
async function runningRecovery(deps: Deps): Promise<string | null> {
  const here = [...deps.recovery.executions.values()].map(({ execution }) => execution)
    .find((each) => each.mode === "live" && !hasEnded(each));
  if (here !== undefined) return here.executionId;
  const running = { status: "running", mode: "live", limit: 1, offset: 0 } as const;
  const { executions } = await deps.state.executions.list(running);
  return executions[0]?.executionId ?? null;
}

interface DueRun {
  deps: Deps;
  report: DueReport;
  settings: Settings;
}

function caller(deps: Deps, name = SCHEDULE): Caller {
  return { name, requestId: `tick_${deps.clock.now().toISOString()}` };
}

/** What became of an attempt. */
type Attempt = "started" | "failed" | "in-the-way";

/** What runs in the way is no failure: what is due then is so with the next tick too. */
async function attempt(
  { deps, report }: DueRun,
  what: string,
  start: () => Promise<string[]>,
  failed: (error: BackupError) => Promise<void> = () => Promise.resolve(),
): Promise<Attempt> {
  try {
    report.started.push(...await start());
    return "started";
  } catch (thrown) {
    const error = toBackupError(thrown);
    report.skipped.push({ what, reason: error.message });
    if (error.code === "conflict") return "in-the-way";
    deps.reportError(error, `tick: ${what}`);
    await failed(error);
    return "failed";
  }
}

/** Backups that were written down for now, or for a time that has come, run under the ids that they were given. */
async function startAskedBackups(run: DueRun): Promise<void> {
  const { deps } = run;
  const due = await deps.state.pendingBackups.due();
  for (const asked of due) {
    if (asked.point !== null) continue;
    const { jobId, type, reason, createdBy } = asked;
    const who = caller(deps, createdBy ?? SCHEDULE);
    await attempt(run, jobId, async () => {
      const wish = { type, jobId, ...(reason === null ? {} : { reason }) };
      return [(await startBackup(deps, who, wish)).jobId];
    }, (error) => recordFailure(deps, { ...asked, kind: "backup", error }));
  }
  await startAskedPoints(run, due.filter(({ point }) => point !== null));
}

async function startAskedPoints(run: DueRun, due: readonly PendingBackup[]): Promise<void> {
  const { deps } = run;
  const points = Map.groupBy(due, ({ point }) => (point as PointPlan).pointId);
  for (const [pointId, backups] of points) {
    await attempt(run, pointId, async () => {
      const who = caller(deps, backups[0]!.createdBy ?? SCHEDULE);
      const { jobs } = await beginScheduled(deps, who, backups);
      for (const job of jobs) if (job.status === "failed") await tellFailure(deps, job, job.error!);
      return jobs.filter(({ status }) => status !== "failed" && status !== "cancelled")
        .map(({ jobId }) => jobId);
    });
  }
}

/** Tests that `test_backup_restoration` wrote down; one at a time, because each needs a database's room. */
async function startAskedTests(run: DueRun): Promise<void> {
  const { deps, settings } = run;
  for (const { backupId, testType, requestedBy } of await deps.state.tests.pending(1)) {
    await attempt(run, `test of ${backupId}`, async () => {
      const repository = await deps.openRepository(settings);
      const job = await startRestoreTest(deps, caller(deps, requestedBy ?? SCHEDULE), {
        ...{ settings, repository, backupId, reason: null },
      });
      return [job.jobId];
    }, async ({ code, message }) => {
      await deps.state.tests.refuse({ backupId, testType, code, message });
    });
  }
}

/** Several types that are due at once become one recovery point. */
async function startBackups(run: DueRun, due: readonly JobType[]): Promise<void> {
  const { deps, settings, report } = run;
  const types: JobType[] = [];
  for (const type of due) {
    const reason = await whyLeftOut(deps, { type, settings });
    if (reason === null) types.push(type);
    else report.skipped.push({ what: type, reason });
  }
  const [first] = types;
  if (first === undefined) return;
  const start = async () => {
    if (types.length === 1) {
      const job = await startBackup(deps, caller(deps), { type: first, origin: "scheduled" });
      return [job.jobId];
    }
    const wish = { types, reason: null, origin: "scheduled" as const };
    return (await startPoint(deps, caller(deps), wish)).jobs.map(({ jobId }) => jobId);
  };
  await attempt(run, types.join(", "), start, async (error) => {
    for (const type of types) {
      await recordFailure(deps, { ...ownJob(deps, "backup", type), error });
    }
  });
}

/** What is done to copies, one after the other. */
interface CopyWork {
  kind: "replicate" | "cleanup";
  /** Said before the name of the destination. */
  what: string;
  /** The incident of what fails. */
  key(destination: string): string;
  start(destination: string): Promise<Job>;
}

/** Begins with the first copy that it can begin with; the others follow when that has ended. */
async function startOnCopies(
  run: DueRun,
  due: Record<string, Due>,
  { kind, what, key, start }: CopyWork,
): Promise<void> {
  for (const destination of Object.keys(due).filter((name) => due[name]!.isDue)) {
    const attempted = await attempt(run, `${what} ${destination}`, async () => {
      return [(await start(destination)).jobId];
    }, async (error) => {
      const job = { ...ownJob(run.deps, kind), backupId: destination };
      await recordFailure(run.deps, { ...job, key: key(destination), error });
    });
    if (attempted !== "failed") return;
  }
}

/** A job of the schedule's own that could not be started. */
function ownJob(
  deps: Deps,
  kind: "backup" | "verify" | "cleanup" | "replicate",
  type: JobType = "database",
) {
  const jobId = newJobId(kind, deps.clock.now(), type);
  return { jobId, kind, type, reason: null, createdBy: SCHEDULE };
}

/** A job that could not be started, and why. */
interface FailedStart extends Omit<NewJob, "backupId"> {
  error: BackupError;
  /** What it was to work on. @default itself, if it is a backup */
  backupId?: string;
  /** The incident that it belongs to. @default by kind and type */
  key?: string;
}

/** What could not even begin counts as a failed run: it is tried again after a pause, and told. */
async function recordFailure(
  deps: Deps,
  { error, key, ...start }: FailedStart,
): Promise<void> {
  const { jobId, kind, backupId = kind === "backup" ? jobId : null } = start;
  const ended = await recordFailedStart(deps, { ...start, backupId }, error);
  if (ended.status === "cancelled") return; // taken back before it could be started
  await tellFailure(deps, { ...start, ...(key === undefined ? {} : { key }) }, toJobError(error));
}

async function tellFailure(
  deps: Deps,
  { jobId, type, key }: Pick<Job, "jobId" | "type"> & { key?: string },
  error: JobError,
): Promise<void> {
  await deps.notify({
    ...{ kind: "job-failed", type, jobId, message: error.message },
    ...(error.hint === undefined ? {} : { todo: error.hint }),
    details: { code: error.code },
    ...(key === undefined ? {} : { key }),
  });
}

/** Types whose latest backup is older than one and a half of their intervals. */
async function tellOfMissed({ deps, settings }: DueRun, runs: AllRuns & { now: Date }) {
  for (const [type, { startedAt, running }] of Object.entries(runs.backups)) {
    const hours = settings[INTERVALS[type as JobType]];
    const isOff = whatIsDue(settings, runs, runs.now).backups[type as JobType].dueAt === null;
    if (isOff || running || startedAt === null) continue;
    const lateMs = runs.now.getTime() - startedAt.getTime() - 1.5 * hours * 3_600_000;
    if (lateMs <= 0) continue;
    await deps.notify({
      ...{ kind: "missed", type, jobId: null },
      message: `The latest backup (${type}) began at ${startedAt.toISOString()}: ` +
        `there should be one every ${hours} hours.`,
      todo: "Look at why the last ones failed: action=jobs.",
    });
  }
}
