/**
 * What was asked of a job, as it is kept with it: any worker makes the job's definition from it.
 *
 * @module
 */
import type { Caller } from "./deps.ts";
import type { RestoreRequest } from "./restore_database.ts";

/** By the use-case. Survives JSON. */
export type JobRequest =
  | { task: "backup" }
  | { task: "verify"; backupId: string | null; level: "quick" | "full" }
  | { task: "restore"; backupId: string; targetDatabaseUrl: string | null; request: RestoreRequest }
  | { task: "restore-test"; backupId: string };

/** With who asked, for the audit log. */
export type AskedJob = JobRequest & { caller: Caller; action: string };
