/**
 * Starts a restore test as a job: the newest backup is restored into a scratch database, compared, and the
 * database dropped. Nothing else is touched.
 *
 * @module
 */
import { startStopwatch } from "../../core/clock.ts";
import { newJobId } from "../../core/ids.ts";
import type { Job } from "../../core/job.ts";
import { RELEASE } from "../../core/release.ts";
import type { JobOutcome } from "../../core/part.ts";
import type { Settings } from "../../core/settings.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import { defineOnePart, onePart } from "../../jobs/one_part.ts";
import type { DatabaseRecord, Repository } from "../../repository/mod.ts";
import { connector, databaseUrl } from "../database_access.ts";
import type { Caller, Deps } from "../deps.ts";
import type { JobRequest } from "../jobs/job_request.ts";
import { recordTestBegin, recordTestEnd, recordTestPassed } from "./record_tested_restore.ts";
import { restoreDatabase } from "./restore_database.ts";
import {
  checkRoom,
  createScratchDatabase,
  dropScratchDatabase,
  dropScratchDatabases,
  inertView,
  NOT_TESTED,
  scratchName,
  urlOfDatabase,
} from "./scratch_database.ts";
import { startJob } from "../jobs/start_job.ts";

/** Name of the part. */
const TESTING = "testing-a-restore";

/** Stands for a backup's id: the newest one is tried in a scratch database. */
export const TEST_BACKUP = "test_backup";

/** What a scratch database is allowed to lack: it is a plain database and this role no superuser. */
const ACCEPTED = ["missing-extension", "missing-role", "lossy-role", "damaged-backup"];

/** @throws `backup_not_found`, `conflict`, `invalid_config`; what fails later is the job's error */
export async function startRestoreTest(
  deps: Deps,
  caller: Caller,
  { settings, repository, backupId, reason, jobId = newJobId("restore", deps.clock.now()) }: {
    settings: Settings;
    repository: Repository;
    backupId: string;
    reason: string | null;
    jobId?: string;
  },
): Promise<Job> {
  const { record } = await repository.readBackup(backupId);
  databaseUrl(deps);
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "restore",
      job: {
        ...{ jobId, kind: "restore", type: "database", backupId: record.backupId },
        reason: reason ?? "restore test",
        createdBy: caller.name,
      },
      request: { task: "restore-test", backupId: record.backupId },
      first: onePart(TESTING),
      details: { backupId: record.backupId, test: true },
    },
  });
}

/** What such a job is made of. */
export function defineRestoreTest(
  deps: Deps,
  job: Job,
  { backupId }: JobRequest & { task: "restore-test" },
): Promise<JobDefinition> {
  const test = { job, backupId, environment: scratchName(job.jobId) };
  // All that can fail is done by the part, so that the end can always be recorded.
  const work = async (context: PartContext) => {
    await recordTestBegin(deps, test);
    const { settings } = await deps.settings();
    const repository = await deps.openRepository(settings);
    const { record } = await repository.readBackup(backupId);
    return await tryRestore(deps, { settings, repository, record, job }, context);
  };
  return Promise.resolve({
    ...defineOnePart(TESTING, work, { once: true }),
    end: (how) => recordTestEnd(deps, test, how),
  });
}

async function tryRestore(
  deps: Deps,
  { settings, repository, record, job }: {
    settings: Settings;
    repository: Repository;
    record: DatabaseRecord;
    job: Job;
  },
  { signal, onProgress }: PartContext,
): Promise<JobOutcome> {
  if (job.recorded) await dropScratchDatabases(deps);
  const url = databaseUrl(deps);
  const name = scratchName(job.jobId);
  const threads = await deps.openReader?.(settings); // they start with the first rows
  const session = await connector(url, signal)();
  try {
    const room = await checkRoom(session, settings, record.totals.rawBytes);
    const tookMs = startStopwatch(deps.clock);
    try {
      await createScratchDatabase(session, { name, encoding: record.source.encoding });
      const report = await restoreDatabase({
        connect: connector(urlOfDatabase(url, name), signal),
        repository: inertView(repository),
        reader: threads?.reader,
        backupId: record.backupId,
        request: {
          mode: "empty",
          target: "plain",
          jobs: settings.databaseConnections,
          acceptHazards: ACCEPTED,
        },
        clock: deps.clock,
        writtenBy: RELEASE,
        signal,
        onProgress,
      });
      const seconds = Math.round(tookMs()) / 1000;
      await recordTestPassed(deps, { jobId: job.jobId, report, seconds });
      const test = { database: name, room, notTested: NOT_TESTED };
      return { result: { ...report, test }, backupId: record.backupId };
    } finally {
      await drop(deps, name);
    }
  } finally {
    await threads?.leave();
    await session.close();
  }
}

/** By a session of its own: the job's may have been cut by what made the test fail. */
async function drop(deps: Deps, name: string): Promise<void> {
  const session = await connector(databaseUrl(deps), AbortSignal.timeout(15_000))();
  try {
    await dropScratchDatabase(session, name);
  } finally {
    await session.close();
  }
}
