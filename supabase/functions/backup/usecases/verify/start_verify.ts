/**
 * Starts a verification of what is stored as a job. A job that finds a problem has failed.
 *
 * @module
 */
import { BackupError, ERROR_CODES, type ErrorCode, toBackupError } from "../../core/errors.ts";
import { newJobId, typeOfJobId } from "../../core/ids.ts";
import type { Job } from "../../core/job.ts";
import { requestLine } from "../../core/request_line.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import { isDamage, type Repository, type VerifyReport } from "../../repository/mod.ts";
import type { Caller, Deps } from "../deps.ts";
import type { JobRequest } from "../jobs/job_request.ts";
import {
  findLostBackups,
  findUnlisted,
  type LostBackups,
  lostError,
  type StoredNames,
} from "../restore/lost_backups.ts";
import { startJob } from "../jobs/start_job.ts";
import { recordFindings } from "./record_findings.ts";
import { FIRST_OF_VERIFY, type SeenBackup, verifyInParts } from "./verify_in_parts.ts";

/** How, and where. */
interface VerifyWish {
  level: "quick" | "full";
  /** Name of the destination whose copy is verified. @default the primary storage */
  destination?: string | undefined;
}

/**
 * @throws `backup_not_found`, `invalid_request` when there is no such destination, `conflict`, `key_wrong`; what
 * is found later is the job's result or error
 */
export async function startVerify(
  deps: Deps,
  caller: Caller,
  { backupId, ...wish }: VerifyWish & { backupId: string | null },
): Promise<Job> {
  return await startVerification(deps, caller, {
    backups: backupId === null ? [] : [backupId],
    ...wish,
  });
}

/** As {@linkcode startVerify}, of several backups; none means all. */
export async function startVerification(
  deps: Deps,
  caller: Caller,
  request: VerifyWish & { backups: readonly string[] },
): Promise<Job> {
  const { settings } = await deps.settings();
  const { level, destination } = request;
  const repository = await deps.openRepository(settings, { destination });
  const missing = destination === undefined && request.backups.length > 0
    ? await findUnlisted(deps, repository)
    : [];
  const backups: string[] = [];
  for (const id of request.backups) backups.push(await findBackup(repository, id, missing));
  const backupId = backups.length === 1 ? backups[0]! : null;
  const wish = { backupId, level, destination, ...(backups.length > 1 ? { backups } : {}) };
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "verify",
      job: {
        jobId: newJobId("verify", deps.clock.now()),
        ...{ kind: "verify", type: "database", backupId, reason: null, createdBy: caller.name },
      },
      request: { task: "verify", ...wish },
      first: FIRST_OF_VERIFY,
      details: wish,
    },
  });
}

/** What such a job is made of. */
export async function defineVerify(
  deps: Deps,
  job: Job,
  asked: JobRequest & { task: "verify" },
): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const { level, destination } = asked;
  const repository = await deps.openRepository(settings, { destination });
  const { location } = repository;
  const backups = verifiedBy(asked);
  return verifyInParts({
    ...{ repository, level, backups },
    async conclude(report, seen) {
      if (destination === undefined) { // a copy may be behind: what it lacks is the next replication's
        const lost = await findLostBackups(deps, { location, stored: storedBy(report, seen) });
        if (backups.length === 0) await leaveOutNew(repository, lost);
        report.problems.push(...problemsOf(lost, backups));
      }
      await leaveOutExpired(repository, report);
      await recordFindings(deps, { job, report, location, destination });
      if (report.problems.length > 0) throw damaged(report, destination);
      return report;
    },
  });
}

/** What the verification has seen of the storage. */
function storedBy({ problems }: VerifyReport, seen: SeenBackup[]): StoredNames {
  const opened = new Set(seen.map(({ backupId }) => backupId));
  const unopened = problems
    .filter(({ object, code }) => object.startsWith("backups/") && code !== "backup_not_found")
    .flatMap(({ backups }) => backups).filter((id) => !opened.has(id));
  const damaged = unopened.map((backupId) => ({ backupId }));
  return { ids: [...opened, ...unopened], list: { backups: seen, damaged } };
}

/** Ids of the backups that a verification is of; none means all. */
export function verifiedBy({ backupId, backups }: JobRequest & { task: "verify" }): string[] {
  return backups ?? (backupId === null ? [] : [backupId]);
}

/** A backup that ended meanwhile was not there yet when the verification listed the storage. */
async function leaveOutNew(repository: Repository, lost: LostBackups): Promise<void> {
  if (lost.missing.length === 0) return;
  const listed = new Set(await repository.backupIds());
  lost.missing = lost.missing.filter((id) => !listed.has(id));
}

/** A backup that retention let go while it was verified is not lost. */
async function leaveOutExpired(repository: Repository, report: VerifyReport): Promise<void> {
  if (report.problems.length === 0) return;
  const expired = await repository.freeing.expired();
  report.backups = report.backups.filter((id) => !expired.has(id));
  report.problems = report.problems.filter(({ backups }) =>
    backups.length === 0 || backups.some((id) => !expired.has(id))
  );
}

/** A backup that the tables know is lost, not unknown. @throws `backups_lost`, `backup_not_found` */
async function findBackup(
  repository: Repository,
  id: string,
  missing: readonly string[],
): Promise<string> {
  if (missing.includes(id)) throw lostError({ missing: [id], replaced: [] }, `verify ${id}`);
  try {
    return (await repository.readBackup(id, { type: typeOfJobId(id) })).record.backupId;
  } catch (error) {
    // Damage is what a verification is there to find: its job tells and records it.
    if (id !== "latest" && isDamage(toBackupError(error).code)) return id;
    throw error;
  }
}

/** Lost backups as problems of the verification: all of them, or those that are looked at. */
function problemsOf(lost: LostBackups, chosen: readonly string[]): VerifyReport["problems"] {
  const among = (ids: readonly string[], message: string) =>
    ids.filter((id) => chosen.length === 0 || chosen.includes(id)).map((id) => ({
      object: `backups/${id}`,
      code: "backups_lost",
      message,
      backups: [id],
    }));
  return [
    ...among(lost.missing, "The tables know it and the storage does not have it"),
    ...among(lost.replaced, "It is not the one that was stored"),
  ];
}

/** Problems in an answer are cut off here; the rest is seen by verifying on a terminal. */
const PROBLEMS_SHOWN = 100;

/** Backups in a sentence that people are told. */
const MOST_SAID = 10;

function damaged(report: VerifyReport, destination: string | undefined): BackupError {
  const first = report.problems[0];
  const code: ErrorCode = first && first.code in ERROR_CODES
    ? first.code as ErrorCode
    : "object_altered";
  const backups = [...new Set(report.problems.flatMap((problem) => problem.backups))];
  return new BackupError(
    code,
    `Cannot vouch for ${named(backups)}${destination === undefined ? "" : ` in ${destination}`}: ` +
      `${report.problems.length} stored objects are damaged`,
    {
      hint: destination === undefined
        ? "Restore from another backup or copy, and make a new backup now."
        : "This is a copy: replace what is damaged by what the primary storage has. " +
          requestLine("replicate", { destination, level: "full" }),
      details: { ...report, problems: report.problems.slice(0, PROBLEMS_SHOWN) },
    },
  );
}

function named(backups: readonly string[]): string {
  if (backups.length === 0) return "the repository's own files";
  const more = backups.length - MOST_SAID;
  return backups.slice(0, MOST_SAID).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
