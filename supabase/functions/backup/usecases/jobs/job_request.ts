/**
 * What was asked of a job, as it is kept with it: any worker makes the job's definition from it.
 *
 * @module
 */
import type { ItemType } from "../../core/items.ts";
import type { JobType } from "../../core/job.ts";
import type { CleanupPlan } from "../keep/cleanup_in_parts.ts";
import type { Caller } from "../deps.ts";
import type { RestoreRequest } from "../restore/restore_database.ts";

/** Backups of several types that are to belong together. Survives JSON. */
export interface PointPlan {
  pointId: string;
  createdAt: string;
  reason: string | null;
  createdBy: string;
  /** @default manual */
  origin?: "scheduled";
  /** Its backups go before others. @default false */
  isHigh?: boolean;
  /** Jobs by type; a type without a job is left out, for the reason given. */
  components: { type: JobType; jobId: string | null; reason: string | null }[];
}

/** What is asked of a restore of items. */
export interface ItemRestoreRequest {
  type: ItemType;
  backupId: string;
  only: string[];
  /** Whether what is there already is replaced. */
  replace: boolean;
  /** `refuse`: plans, and fails where the restore itself would refuse to begin. */
  dryRun: boolean | "refuse";
  acceptHazards: string[];
  skipSafetyBackup: boolean;
}

/** What is asked of a restore of a whole recovery point. */
export interface PointRestoreRequest {
  pointId: string;
  /** In the order in which they are restored. */
  parts: { type: JobType; backupId: string }[];
  /** Types of which the point has nothing, and why. */
  leftOut: { type: JobType; reason: string }[];
  /** Reference to another database's address; null for the service's own. */
  targetDatabaseUrl: string | null;
  database: RestoreRequest;
  items: Pick<ItemRestoreRequest, "replace" | "dryRun" | "acceptHazards" | "skipSafetyBackup">;
  cronJobs: "inactive" | "as-saved";
}

/** By the use-case. Survives JSON. */
export type JobRequest =
  | { task: "restore-point"; request: PointRestoreRequest }
  | { task: "backup"; point?: PointPlan; origin?: "scheduled" }
  | { task: "restore-items"; request: ItemRestoreRequest }
  | { task: "cleanup"; plan: CleanupPlan }
  | { task: "replicate"; destination: string; level: "quick" | "full"; dryRun: boolean }
  | {
    task: "verify";
    backupId: string | null;
    backups?: string[];
    level: "quick" | "full";
    /** Name of the copy; absent for the primary storage. */
    destination?: string | undefined;
  }
  | { task: "restore"; backupId: string; targetDatabaseUrl: string | null; request: RestoreRequest }
  | { task: "restore-test"; backupId: string };

/** With who asked, for the audit log. */
export type AskedJob = JobRequest & { caller: Caller; action: string };
