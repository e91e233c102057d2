/**
 * Records what a verification found of each backup.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import type { VerifyReport } from "../../repository/mod.ts";
import type { Deps } from "../deps.ts";

/** What is recorded, and of which place. */
export interface Findings {
  job: Job;
  report: VerifyReport;
  /** Of the repository that was verified. */
  location: string;
  /** Name of the destination whose copy it is; absent for the primary storage. */
  destination?: string | undefined;
}

/** That it could not be recorded must not hide what was found. */
export async function recordFindings(
  deps: Deps,
  { job, report, location, destination }: Findings,
): Promise<void> {
  const { level, objectsChecked, bytesRead } = report;
  const codes = new Map<string, Set<string>>();
  for (const { code, backups } of report.problems) {
    for (const id of backups) codes.set(id, (codes.get(id) ?? new Set()).add(code));
  }
  const place = destination === undefined ? {} : { destination };
  const results = [...new Set([...report.backups, ...codes.keys()])].map((backupId) => ({
    backupId,
    verificationType: level === "full" ? "integrity_check" as const : "existence" as const,
    success: !codes.has(backupId),
    details: codes.has(backupId)
      ? { ...place, codes: [...codes.get(backupId)!] }
      : { ...place, backupsInAll: report.backups.length, objectsChecked, bytesRead },
  }));
  try {
    await deps.state.verifications.add(results, {
      ...{ jobId: job.jobId, location, verifiedBy: job.createdBy },
      ofCopy: destination !== undefined,
    });
  } catch (error) {
    deps.reportError(toBackupError(error), `record the verification ${job.jobId}`);
  }
}
