/**
 * Tries to restore a backup of somebody's choice, or the newest one.
 *
 * @module
 */
import type { Job } from "../../core/job.ts";
import type { Caller, Deps } from "../deps.ts";
import { refuseLost } from "./lost_backups.ts";
import { startRestoreTest } from "./start_test_restore.ts";

/**
 * @param backupId an id, or `latest`
 * @throws `backup_not_found`, `backups_lost`, `conflict`, `invalid_config`; what fails later is the job's error
 */
export async function testRestore(
  deps: Deps,
  caller: Caller,
  { backupId, reason, jobId, acceptsLost = false }: {
    backupId: string;
    reason: string | null;
    /** @default a new id */
    jobId?: string;
    /** Also when the storage lacks newer backups that the tables know. @default false */
    acceptsLost?: boolean;
  },
): Promise<Job> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const { record } = await repository.readBackup(backupId);
  if (!acceptsLost) {
    await refuseLost(deps, repository, { chosen: record.backupId, newest: backupId === "latest" });
  }
  return await startRestoreTest(deps, caller, {
    ...{ settings, repository, backupId: record.backupId, reason },
    ...(jobId === undefined ? {} : { jobId }),
  });
}
