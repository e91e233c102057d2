/**
 * Starts a replication as a job: the backups of the primary storage are copied to another destination.
 *
 * @module
 */
import { settingsAt } from "../../core/destinations.ts";
import { BackupError, ERROR_CODES, type ErrorCode, toBackupError } from "../../core/errors.ts";
import { newJobId } from "../../core/ids.ts";
import type { Job } from "../../core/job.ts";
import { requestLine } from "../../core/request_line.ts";
import type { Settings } from "../../core/settings.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import type { Repository } from "../../repository/mod.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Caller, Deps } from "../deps.ts";
import type { JobRequest } from "../jobs/job_request.ts";
import { startJob } from "../jobs/start_job.ts";
import { keepRecoverySheet } from "../service/recovery_sheet.ts";
import { FIRST_OF_REPLICATE, replicateInParts } from "./replicate_in_parts.ts";
import { type ReplicateReport, writeReport } from "./replicate_report.ts";

/** What is asked of a replication. */
export interface ReplicateRequest {
  /** Name of the destination. @default the only one that there is */
  destination?: string | undefined;
  /** `quick` compares names and sizes; `full` also reads back what both places have. */
  level: "quick" | "full";
  /** Only tells what the copy lacks. */
  dryRun: boolean;
}

/**
 * @throws `invalid_request` when there is no such destination, or several and none is named, `invalid_config`,
 * `conflict` while another replication runs, `repository_missing`, `key_wrong`, `storage_*`
 */
export async function startReplicate(
  deps: Deps,
  caller: Caller,
  { destination: wanted, level, dryRun }: ReplicateRequest,
): Promise<Job> {
  const { settings } = await deps.settings();
  const destination = wanted ?? onlyDestination(settings);
  // What cannot be opened is told to whoever asks, before there is a job.
  await deps.openStorage(settings, { destination });
  await deps.openRepository(settings);
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "replicate",
      job: {
        jobId: newJobId("replicate", deps.clock.now()),
        ...{ kind: "replicate", type: "database", backupId: destination },
        ...{ reason: dryRun ? "dry run" : null, createdBy: caller.name },
      },
      request: { task: "replicate", destination, level, dryRun },
      first: FIRST_OF_REPLICATE,
      details: { destination, level, dryRun },
    },
  });
}

function onlyDestination({ destinations }: Settings): string {
  const [first, ...others] = destinations;
  if (first === undefined) {
    throw new BackupError("invalid_config", "Cannot replicate: there is no further destination", {
      hint: "Set BACKUP_DESTINATIONS, see docs/destinations.md.",
    });
  }
  if (others.length === 0) return first.name;
  const names = destinations.map(({ name }) => name);
  throw new BackupError("invalid_request", "Cannot replicate: there are several destinations", {
    hint: `Say which one: ${names.map((name) => `"destination": "${name}"`).join(" or ")}.`,
    details: { destinations: names },
  });
}

/** What such a job is made of. */
export async function defineReplicate(
  deps: Deps,
  job: Job,
  { destination, level, dryRun }: JobRequest & { task: "replicate" },
): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const storage = await deps.openStorage(settings, { destination });
  let opened: Promise<Repository> | undefined;
  const copy = {
    storage,
    open: () =>
      opened ??= deps.openRepository(settings, { destination }).catch((error) => {
        opened = undefined;
        throw error;
      }),
  };
  const original = {
    storage: await deps.openStorage(settings),
    repository: await deps.openRepository(settings),
  };
  return replicateInParts({
    ...{ level, dryRun, original, copy },
    async conclude(results: PartContext["results"]) {
      const head = { destination, location: storage.location, level, dryRun };
      const report = await writeReport(head, results);
      if (!dryRun) {
        await keepRecoverySheet(storage, settingsAt(settings, destination));
        await recordCopies(deps, { job, storage, copy: await copy.open() });
      }
      if (report.problems.length > 0) throw incomplete(report);
      return { ...report };
    },
  });
}

/** The tables say of every backup where it is; that they could not be written must not hide what was done. */
async function recordCopies(
  deps: Deps,
  { job, storage, copy }: { job: Job; storage: Storage; copy: Repository },
): Promise<void> {
  const backupIds = await copy.backupIds();
  try {
    await deps.state.backups.recordCopies({
      ...{ destination: job.backupId!, location: storage.location, backupIds },
    });
  } catch (error) {
    deps.reportError(toBackupError(error), `record what ${job.jobId} has copied`);
  }
}

function incomplete(report: ReplicateReport): BackupError {
  const { destination, problems, problemsInAll } = report;
  const first = problems[0]!;
  const code: ErrorCode = first.code in ERROR_CODES ? first.code as ErrorCode : "object_altered";
  return new BackupError(
    code,
    `Cannot vouch for the copy ${destination}: ${problemsInAll} objects could not be copied, ` +
      `first ${first.object}: ${first.message}`,
    {
      hint: "What is damaged in the primary storage is told by " +
        `${requestLine("verify", { level: "full" })}; everything else was copied.`,
      details: { ...report },
    },
  );
}
