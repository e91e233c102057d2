/**
 * Restores of the service's own database that nobody works on any more and that are not complete: what the
 * database holds is half of a backup.
 *
 * @module
 */
import type { Job } from "../../core/job.ts";
import {
  forgetTrace,
  readUnfinishedRestores,
  traceInWords,
} from "../../postgres/restore_traces.ts";
import type { BackupRecord } from "../../repository/mod.ts";
import type { Deps } from "../deps.ts";

/** In words, the newest first, each with what to do. @throws the `database_*` codes */
export async function findUnfinishedRestores(
  deps: Deps,
  running: readonly Pick<Job, "jobId">[],
): Promise<string[]> {
  const traces = await deps.state.database.run(
    "read which restores are not complete",
    (sql) => readUnfinishedRestores((statement) => sql.unsafe(statement)),
  );
  return traces.filter(({ jobId }) => !running.some((job) => job.jobId === jobId)).map((trace) =>
    `${
      traceInWords(trace)
    }. Restore ${trace.backupId} again, or post a trigger of database_failure: it goes ` +
    `on with it. If the database is well as it is: ${forgetTrace(trace)};`
  );
}

/** Whether the newest backup of the database was made of a half restored one: in words; else null. */
export function halfRestoredBackup(backups: readonly BackupRecord[]): string | null {
  const [newest] = backups
    .flatMap((each) => each.type === "database" && each.origin !== "safety" ? [each] : [])
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  const restore = newest?.consistency.unfinishedRestore;
  return newest === undefined || restore === undefined
    ? null
    : `${newest.backupId} was made while restore ${restore.jobId} of ${restore.backupId} was not complete`;
}
