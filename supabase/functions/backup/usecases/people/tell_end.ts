/**
 * Tells people how a job ended. A wish to cancel is no news to anybody.
 *
 * @module
 */
import { cryptoBytes, toHex, utf8 } from "../../core/bytes.ts";
import { type BackupError, toBackupError } from "../../core/errors.ts";
import type { Job, JobError, JobKind } from "../../core/job.ts";
import type { Deps } from "../deps.ts";
import { readSizeChange, type Shrunk } from "../backup/find_shrunk.ts";
import { getJob } from "../jobs/get_job.ts";
import type { AskedJob } from "../jobs/job_request.ts";
import type { ReplicateReport } from "../replicate/replicate_report.ts";
import { verifiedBy } from "../verify/start_verify.ts";

/** Kinds whose end is told of; others have somebody who knows better what to say. */
const TOLD: readonly JobKind[] = ["backup", "restore", "verify", "cleanup", "replicate"];

/** How keys of incidents begin: those of damage, and within each kind those of copies. */
const DAMAGE = "damage:";
const COPY = "copy:";

/** Ids that a message names. */
const MOST_NAMED = 10;

/** What ended. */
export interface EndedJob {
  how: "completed" | "failed" | "cancelled";
  /** As it began. */
  job: Pick<Job, "jobId" | "kind" | "type" | "backupId">;
  asked: AskedJob;
}

/** See the module. */
export async function tellEnd(deps: Deps, ended: EndedJob): Promise<void> {
  if (ended.how === "cancelled" || !TOLD.includes(ended.job.kind)) return;
  const { asked } = ended;
  if (asked.task === "replicate" && asked.dryRun) return; // it says nothing of the copying
  if (ended.how === "completed") await tellOfSuccess(deps, ended);
  else await tellOfFailure(deps, ended, await errorOf(deps, ended.job));
}

async function tellOfSuccess(deps: Deps, { job, asked }: EndedJob): Promise<void> {
  const { jobId, type } = job;
  const message = `The job ${jobId} ended well.`;
  await deps.notify({ kind: "job-recovered", type, jobId, message, ...incidentOf(asked) });
  if (job.kind === "backup") {
    await tellWhetherWhole(deps, job);
    await tellOfSize(deps, job);
  }
  if (asked.task !== "verify" && asked.task !== "replicate" || asked.level !== "full") return;
  if (asked.task === "replicate" && !await hasReadAll(deps, job)) return;
  for (const key of await mended(deps, asked)) {
    const found = "All stored bytes were read again, and they are those that were written.";
    await deps.notify({ kind: "job-recovered", type, jobId, key, message: found });
  }
}

/** A backup that had to leave items out is listed all the same: an incident of its own says so. */
async function tellWhetherWhole(deps: Deps, { jobId, kind, type }: EndedJob["job"]): Promise<void> {
  let result: Job["result"];
  try {
    ({ result } = await getJob(deps, jobId, kind));
  } catch (error) {
    return deps.reportError(toBackupError(error), `notify: result of ${jobId}`);
  }
  const key = `partial:${type}`;
  if (result?.partial !== true) {
    const message = `The backup ${jobId} has everything.`;
    return void await deps.notify({ kind: "job-recovered", type, jobId, key, message });
  }
  await deps.notify({
    ...{ kind: "job-failed", type, jobId, key, priority: "medium" },
    message: `The backup ${jobId} lacks what could not be saved.`,
    todo: "Its remarks name what it lacks and why: action=job.",
    details: { backupId: jobId },
  });
}

/** A backup with less than half of what the one before held may have saved a loss: told at once. */
async function tellOfSize(deps: Deps, job: EndedJob["job"]): Promise<void> {
  try {
    const { settings } = await deps.settings();
    const { shrunk, resized } = await readSizeChange(
      await deps.openRepository(settings),
      job.type,
    );
    await tellOfChange(deps, job, {
      ...{ key: `shrunk:${job.type}`, change: shrunk, priority: "high" },
      told: "The newest backup holds less than half of the one before it",
      todo: (beforeId) =>
        `If something was lost, restore ${beforeId}; if it was removed on purpose, nothing has to be done.`,
      otherwise: `The backup ${job.jobId} holds at least half of what the one before it held.`,
    });
    await tellOfChange(deps, job, {
      ...{ key: `resized:${job.type}`, change: resized, priority: "low" },
      told: "The newest backup is larger or smaller than the one before it by more than a fifth",
      todo: () => "If that was to be expected, nothing has to be done.",
      otherwise: `The backup ${job.jobId} is about as large as the one before it.`,
    });
  } catch (error) {
    deps.reportError(toBackupError(error), `notify: size of ${job.jobId}`);
  }
}

/** What one measure of size says, and in which words it is told. */
interface SizeNews {
  key: string;
  change: Shrunk | null;
  priority: "high" | "low";
  told: string;
  todo: (beforeId: string) => string;
  /** When there is no change. */
  otherwise: string;
}

async function tellOfChange(
  deps: Deps,
  { jobId, type }: EndedJob["job"],
  { key, change, priority, told, todo, otherwise }: SizeNews,
): Promise<void> {
  if (change === null) {
    return void await deps.notify({ kind: "job-recovered", type, jobId, key, message: otherwise });
  }
  const { found, backupId, beforeId } = change;
  await deps.notify({
    ...{ kind: "job-failed", type, jobId, key, priority },
    ...{ message: `${told}: ${found}.`, todo: todo(beforeId) },
    details: { backupId, beforeId },
  });
}

/** The incident of replications that fail. */
export function replicationKey(destination: string): string {
  return `replicate:${destination}`;
}

/** The incident of cleanups of a copy that fail. */
export function copyCleanupKey(destination: string): string {
  return `cleanup:${COPY}${destination}`;
}

/** What fails in a copy is an incident of its own: the primary storage may be well, and the other way round. */
function incidentOf(asked: AskedJob): { key?: string } {
  if (asked.task === "replicate") return { key: replicationKey(asked.destination) };
  const destination = copyOf(asked);
  if (destination === undefined) return {};
  return {
    key: asked.task === "cleanup" ? copyCleanupKey(destination) : `verify:${COPY}${destination}`,
  };
}

/** The destination whose copy a job works on. */
function copyOf(asked: AskedJob): string | undefined {
  if (asked.task === "cleanup") return asked.plan.destination;
  return asked.task === "verify" || asked.task === "replicate" ? asked.destination : undefined;
}

/** Whether an incident of this key is damage of something stored. */
export function isDamage(key: string): boolean {
  return key.startsWith(DAMAGE);
}

/** How keys of incidents of damage begin, by the place where it is. */
function damageIn(destination: string | undefined): string {
  return destination === undefined ? DAMAGE : `${DAMAGE}${COPY}${destination}:`;
}

/** The incidents of damage that a complete verification without a problem ends. */
async function mended(
  deps: Deps,
  asked: AskedJob & { task: "verify" | "replicate" },
): Promise<string[]> {
  const prefix = damageIn(asked.destination);
  const backups = asked.task === "verify" ? verifiedBy(asked) : [];
  if (backups.length > 0) return backups.map((backupId) => `${prefix}${backupId}`);
  try {
    const keys = (await deps.state.alerts.open({ prefix })).map(({ key }) => key);
    return asked.destination === undefined
      ? keys.filter((key) => !key.startsWith(`${DAMAGE}${COPY}`))
      : keys;
  } catch (error) {
    deps.reportError(toBackupError(error), "notify: incidents of damage");
    return [];
  }
}

async function tellOfFailure(
  deps: Deps,
  { job, asked }: EndedJob,
  error: JobError,
): Promise<void> {
  const { jobId, type } = job;
  // What a replication cannot copy is damaged in the primary storage: a verification tells of that.
  const damaged = asked.task === "replicate" ? null : damagedBackups(error);
  await deps.notify({
    ...{ kind: damaged === null ? "job-failed" : "damage", type, jobId, message: error.message },
    ...(error.hint === undefined ? {} : { todo: error.hint }),
    details: {
      code: error.code,
      action: asked.action,
      ...(damaged === null || damaged.length === 0
        ? {}
        : { backups: damaged.slice(0, MOST_NAMED).join(", "), backupsInAll: damaged.length }),
    },
    ...(damaged === null
      ? incidentOf(asked)
      : { key: damageIn(copyOf(asked)) + await damageName(damaged) }),
  });
}

/** The backups that a verification found damaged; null when it failed for another reason. */
function damagedBackups({ details }: JobError): string[] | null {
  const problems = details?.problems;
  if (!Array.isArray(problems)) return null;
  const backups = problems.flatMap((problem) => (problem as { backups?: string[] }).backups ?? []);
  return [...new Set(backups)].sort();
}

/** The same damage is one incident, however often it is found; other damage is another one. */
async function damageName(backups: readonly string[]): Promise<string> {
  if (backups.length <= 1) return backups[0] ?? "repository";
  const hash = await crypto.subtle.digest("SHA-256", cryptoBytes(utf8(backups.join("\n"))));
  return `${backups.length}-${toHex(new Uint8Array(hash)).slice(0, 16)}`;
}

/** A replication reads back what both places have: of what only the copy has it says nothing. */
async function hasReadAll(deps: Deps, { jobId, kind }: EndedJob["job"]): Promise<boolean> {
  try {
    const { result } = await getJob(deps, jobId, kind);
    const { compared } = result as unknown as ReplicateReport;
    return compared.onlyInCopy.count === 0;
  } catch (error) {
    deps.reportError(toBackupError(error), "notify: what a replication has read");
    return false;
  }
}

async function errorOf(deps: Deps, { jobId, kind }: EndedJob["job"]): Promise<JobError> {
  let why: BackupError;
  try {
    const { error } = await getJob(deps, jobId, kind);
    return error ?? { code: "internal", message: `Cannot finish ${jobId}: no reason is recorded` };
  } catch (thrown) {
    why = toBackupError(thrown);
  }
  return { code: why.code, message: `Cannot tell why ${jobId} failed: ${why.message}` };
}
