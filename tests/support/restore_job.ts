/**
 * A restore as a job in the service's tables, done by any number of workers in this process or others.
 *
 * @module
 */
import type { Clock } from "../../supabase/functions/backup/core/clock.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import { newJob } from "../../supabase/functions/backup/core/job.ts";
import type { JobDefinition } from "../../supabase/functions/backup/jobs/job_definition.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { PartTables } from "../../supabase/functions/backup/state/part_tables.ts";
import type { State } from "../../supabase/functions/backup/state/state.ts";
import { FIRST_OF_RESTORE } from "../../supabase/functions/backup/usecases/restore/parts_of_restore.ts";
import { restoreInParts } from "../../supabase/functions/backup/usecases/restore/restore_in_parts.ts";

/** Small, so that little data makes many parts. */
const LIMITS = { entries: 5, partBytes: 65_536, longBytes: 1 << 30 };

/** Records a restore of the newest backup. @returns its id */
export async function beginRestore(state: State): Promise<string> {
  const jobId = newJobId("restore", new Date());
  const rest = { kind: "restore", type: "database", reason: null, createdBy: "test" } as const;
  await new PartTables(state.database).begin(
    newJob({ jobId, backupId: "latest", ...rest }, new Date()),
    {
      parts: FIRST_OF_RESTORE,
      bounds: { maxWorkers: 8, maxAttempts: 8, maxRounds: 5 },
      request: null,
    },
  );
  return jobId;
}

/** What one worker of it needs. */
export function restoreJob(
  { jobId, repository, targetUrl, clock }: {
    jobId: string;
    repository: Repository;
    targetUrl: string;
    clock: Clock;
  },
): JobDefinition {
  return restoreInParts({
    ...{ jobId, repository, backupId: "latest", request: {}, clock, writtenBy: "test" },
    ...{ connect: () => connect({ url: targetUrl }), limits: LIMITS, pollMs: 10 },
  });
}
