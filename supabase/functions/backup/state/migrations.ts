/**
 * The service's own tables. This is the single source: `init` applies it from here, because a deployed
 * function has no files, and `supabase/migrations/` holds the same text for those who use the CLI (a test
 * compares them). A migration is never edited after a release; all of it can run twice.
 *
 * @module
 */
import { API_REQUESTS } from "./migrations/api_requests.ts";
import { BACKUP_TABLES } from "./migrations/backup_tables.ts";
import { JOB_COUNTS } from "./migrations/job_counts.ts";
import { JOB_FORM_KEPT } from "./migrations/job_form.ts";
import { JOB_PARTS } from "./migrations/job_parts.ts";
import type { Migration } from "./migrations/migration.ts";
import { PRIORITIES } from "./migrations/priorities.ts";
import { RECOVERY_TABLES } from "./migrations/recovery_tables.ts";
import { REPLICATE_JOBS } from "./migrations/replicate_jobs.ts";
import { SQL_FUNCTIONS } from "./migrations/sql_functions.ts";

export type { Migration } from "./migrations/migration.ts";

/** Tables of ours in `public`, and the schema of everything else of ours: no backup holds them. */
export const OWN_TABLES = [
  "backup_config",
  "backup_jobs",
  "restore_jobs",
  "backup_audit_log",
  "disaster_recovery_plans",
  "disaster_recovery_executions",
  "recovery_points",
  "backup_tests",
  "backup_verification",
];

/** Functions of ours in `public`, with the types of their arguments: no backup holds them either. */
export const OWN_FUNCTIONS = [
  "get_backup_statistics(integer)",
  "get_restore_statistics(integer)",
  "get_disaster_recovery_plans(text, boolean)",
  "get_backup_dashboard()",
  "create_manual_backup(text, text)",
  "test_backup_restoration(text)",
  "cleanup_backup_data(integer, integer, integer, integer)",
];

/** See {@linkcode OWN_TABLES}. */
export const OWN_SCHEMA = "backup_internal";

/** In order of version. */
export const MIGRATIONS: readonly Migration[] = [
  BACKUP_TABLES,
  JOB_PARTS,
  RECOVERY_TABLES,
  SQL_FUNCTIONS,
  PRIORITIES,
  API_REQUESTS,
  JOB_COUNTS,
  JOB_FORM_KEPT,
  REPLICATE_JOBS,
];
