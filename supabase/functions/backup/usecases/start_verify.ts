/**
 * Starts a verification of what is stored as a job. A job that finds a problem has failed.
 *
 * @module
 */
import { BackupError, ERROR_CODES, type ErrorCode } from "../core/errors.ts";
import { newJobId, typeOfJobId } from "../core/ids.ts";
import type { Job } from "../core/job.ts";
import type { JobDefinition } from "../jobs/job_definition.ts";
import type { Repository, VerifyReport } from "../repository/mod.ts";
import type { Caller, Deps } from "./deps.ts";
import type { JobRequest } from "./job_request.ts";
import { findLostBackups, type LostBackups, lostError } from "./lost_backups.ts";
import { startJob } from "./start_job.ts";
import { FIRST_OF_VERIFY, verifyInParts } from "./verify_in_parts.ts";

/** @throws `backup_not_found`, `conflict`, `key_wrong`; what is found later is the job's result or error */
export async function startVerify(
  deps: Deps,
  caller: Caller,
  request: { backupId: string | null; level: "quick" | "full" },
): Promise<Job> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const lost = await findLostBackups(deps, {
    location: repository.location,
    list: await repository.listBackups(),
  });
  const backupId = request.backupId === null
    ? null
    : await findBackup(repository, request.backupId, lost);
  const { level } = request;
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "verify",
      job: {
        jobId: newJobId("verify", deps.clock.now()),
        ...{ kind: "verify", type: "database", backupId, reason: null, createdBy: caller.name },
      },
      request: { task: "verify", backupId, level },
      first: FIRST_OF_VERIFY,
      details: { ...request },
    },
  });
}

/** What such a job is made of. */
export async function defineVerify(
  deps: Deps,
  { backupId, level }: JobRequest & { task: "verify" },
): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  return verifyInParts({
    repository,
    level,
    backups: backupId === null ? [] : [backupId],
    async conclude(report) {
      const lost = await findLostBackups(deps, {
        location: repository.location,
        list: await repository.listBackups(),
      });
      report.problems.push(...problemsOf(lost, backupId));
      if (report.problems.length > 0) throw damaged(report);
      return report;
    },
  });
}

/** A backup that the tables know is lost, not unknown. @throws `backups_lost`, `backup_not_found` */
async function findBackup(
  repository: Repository,
  id: string,
  lost: LostBackups,
): Promise<string> {
  if (lost.missing.includes(id)) throw lostError({ missing: [id], replaced: [] }, `verify ${id}`);
  return (await repository.readBackup(id, { type: typeOfJobId(id) })).record.backupId;
}

/** Lost backups as problems of the verification: all of them, or of the one that is looked at. */
function problemsOf(lost: LostBackups, backupId: string | null): VerifyReport["problems"] {
  const among = (ids: readonly string[], message: string) =>
    ids.filter((id) => backupId === null || id === backupId).map((id) => ({
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

function damaged(report: VerifyReport): BackupError {
  const first = report.problems[0];
  const code: ErrorCode = first && first.code in ERROR_CODES
    ? first.code as ErrorCode
    : "object_altered";
  const backups = [...new Set(report.problems.flatMap((problem) => problem.backups))];
  return new BackupError(
    code,
    `Cannot vouch for ${
      backups.length === 0 ? "the repository's own files" : backups.join(", ")
    }: ${report.problems.length} stored objects are damaged`,
    {
      hint: "Restore from another backup or copy, and make a new backup now.",
      details: { ...report, problems: report.problems.slice(0, PROBLEMS_SHOWN) },
    },
  );
}
