/**
 * Finds the restore that was broken off in a target and that this one goes on with.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { forgetTrace } from "../../postgres/restore_traces.ts";
import type { Session } from "../../postgres/session.ts";
import type { Repository } from "../../repository/mod.ts";
import { type BrokenOff, readBrokenOff, type RestoreRequest } from "../../restore/mod.ts";

/** The restore that looks. */
export interface LookingRestore {
  jobId: string;
  repository: Repository;
  backupId: string;
  request: RestoreRequest;
}

/**
 * Finds it: the one that the request names, or the newest of the same backup with the same choice.
 *
 * @throws {BackupError} `restore_refused` when the one that it names left no trace
 */
export async function findBrokenOff(
  session: Session,
  { jobId, repository, backupId, request }: LookingRestore,
): Promise<BrokenOff | null> {
  const { completes } = request;
  const found = await readBrokenOff(session, {
    backupId: async () =>
      backupId === "latest" ? (await repository.readBackup(backupId)).manifest.backupId : backupId,
    ...{ jobId, choice: request, completes },
  });
  if (found !== null || completes === undefined) return found;
  throw new BackupError(
    "restore_refused",
    `Cannot complete restore ${completes} of ${backupId}: it left no trace in the database`,
    { hint: "Nothing was changed. It was completed meanwhile, or somebody removed its trace." },
  );
}

/** Whether it is gone on with or nothing is restored; a request for the same may replace what is in the way. */
export function mustGoOn(brokenOff: BrokenOff | null, { jobId, request }: LookingRestore): boolean {
  return brokenOff !== null &&
    (request.completes !== undefined || brokenOff.trace.jobId === jobId);
}

/** Things in the way that an error names. */
const MOST_NAMED = 5;
const MOST_IN_DETAILS = 50;

/** Somebody has changed what was half restored: what is newer than the backup is not replaced by itself. */
export function cannotComplete(
  { trace }: BrokenOff,
  { inTheWay, commandLine }: { inTheWay: readonly string[]; commandLine: string },
): BackupError {
  const { jobId, backupId } = trace;
  const more = inTheWay.length > MOST_NAMED ? `; and ${inTheWay.length - MOST_NAMED} more` : "";
  // Only what is lost replaces nothing.
  const replacing = commandLine.replace(" --only-lost", "");
  const things = inTheWay.slice(0, MOST_NAMED).join("; ");
  return new BackupError(
    "restore_refused",
    `Cannot complete restore ${jobId} of ${backupId}: this is there and not as it was left: ${things}${more}`,
    {
      hint:
        "Nothing was changed. Empty or drop what is named and try again; or restore the backup over the " +
        `database, which replaces it: ${replacing}; or, if the database is well as it is: ${
          forgetTrace(trace)
        };`,
      details: { jobId, backupId, inTheWay: inTheWay.slice(0, MOST_IN_DETAILS) },
    },
  );
}
