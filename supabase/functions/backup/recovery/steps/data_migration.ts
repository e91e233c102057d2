/**
 * Brings the data of a backup into another database.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../../core/errors.ts";
import { fromJobError } from "../../core/job.ts";
import { secretReference } from "../../core/storage_settings.ts";
import { getJob } from "../../usecases/jobs/get_job.ts";
import { startOnce } from "../../usecases/jobs/start_once.ts";
import { startRestore } from "../../usecases/restore/start_restore.ts";
import type { StepKind } from "../step.ts";
import { readParameters } from "./read_parameters.ts";

/** The kinds of migration that there are. */
export const MIGRATION_TYPES = ["backup_to_database"] as const;

/**
 * The guide's three: a backup's id or `latest`; a reference to the other database's address. And what a
 * restore may be told.
 */
const parameters = z.strictObject({
  source: z.string().regex(/^(latest|[0-9A-Za-z_]{1,80})$/, "is neither latest nor a backup's id"),
  destination: secretReference,
  migrationType: z.enum(MIGRATION_TYPES),
  target: z.enum(["supabase", "plain"]).optional(),
  acceptHazards: z.array(z.string().min(1).max(100)).max(50).default([]),
});

/** See the module. */
export const dataMigration: StepKind = {
  type: "data_migration",
  parameters,
  async run({ deps, caller, step, execution, idempotencyKey }) {
    const { source, destination, target, acceptHazards } = readParameters(parameters, step);
    const job = await startOnce(deps, {
      ...{ key: idempotencyKey, kind: "restore", type: "database" },
      start: (jobId) =>
        startRestore(deps, caller, {
          ...{ jobId, backupId: source, targetDatabaseUrl: destination },
          reason: `step ${step.id} of ${execution.executionId}`,
          ...(target === undefined ? {} : { target }),
          ...{ acceptHazards, dryRun: execution.mode === "drill" },
        }),
    });
    const found = `job ${job.jobId} brings ${job.backupId} into ${destination}`;
    return { state: "waiting", jobId: job.jobId, kind: job.kind, found };
  },
  async conclude({ deps, step, execution }, jobId) {
    const { destination } = readParameters(parameters, step);
    const { status, error, result, backupId } = await getJob(deps, jobId, "restore");
    if (status !== "completed") {
      if (error !== null) throw fromJobError(error);
      throw new BackupError("cancelled", `Cannot go on: job ${jobId} is ${status}`);
    }
    const { rowsLoaded = 0 } = result as { rowsLoaded?: number };
    return {
      state: "done",
      found: execution.mode === "drill"
        ? `a drill: ${backupId} can be brought into ${destination}, nothing was changed`
        : `${rowsLoaded} rows of ${backupId} are in ${destination}, compared with the backup`,
      details: { backupId, jobId, rowsLoaded },
      byHand: [],
    };
  },
};
