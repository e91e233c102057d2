/**
 * The one error type of the product and the closed list of its codes.
 *
 * A message says what could not be done and why; `hint` says what to do about it. Neither may hold a
 * secret or a row's value, because both reach answers and logs.
 *
 * @module
 */

/** Every code, with what it means. Codes are stable: callers and runbooks match on them. */
export const ERROR_CODES = {
  // Requests
  unauthorized: "no valid key was presented",
  forbidden: "the key is valid but not for this",
  method_not_allowed: "the action exists under another HTTP method",
  unknown_action: "no action of that name",
  invalid_request: "the request's fields are wrong",
  payload_too_large: "the request's body is over the limit",
  not_found: "no such job, backup or object",
  conflict: "something that is already there or already running stands against it",
  // Settings
  invalid_config: "a setting is wrong or missing",
  // Database
  database_unreachable: "no connection to the database",
  database_error: "the database refused a statement",
  database_protocol: "the server's bytes are not what the protocol allows",
  insufficient_privilege: "the database role lacks a right that is needed",
  lock_timeout: "a table lock was not granted in time",
  concurrent_ddl: "definitions changed while they were read, too many times",
  census_mismatch: "an object of the database has no entry in the backup",
  unsupported_object: "an object of a kind that cannot be saved",
  damaged_source: "the source database holds data that the server cannot read",
  // Repository
  repository_missing: "there is no repository at this place",
  repository_exists: "there is a repository at this place already",
  repository_foreign: "the repository belongs to another database",
  repository_format: "the repository's format is not one this release reads",
  key_missing: "the repository is encrypted and no key was given",
  key_wrong: "the key does not open this repository",
  key_weak: "the key is a placeholder or too weak",
  object_missing: "a stored object is not there",
  object_truncated: "a stored object is shorter than it says",
  object_altered: "a stored object does not authenticate",
  object_swapped: "a stored object is a valid one under another's name",
  object_oversized: "a stored object is larger than anything that this software writes",
  backup_not_found: "no backup of that id",
  backups_lost: "the storage lacks backups that the tables know, or holds others in their place",
  // Storage
  storage_unreachable: "the storage does not answer",
  storage_refused: "the storage refused the request",
  storage_full: "the storage has no room",
  storage_missing: "the storage has no such object",
  storage_exists: "the storage holds another object of that name",
  storage_busy: "space is being freed in the storage that a backup needs",
  // Management API
  management_unauthorized: "the Management API does not accept the token",
  management_forbidden: "the token for the Management API lacks a permission",
  management_not_found: "the Management API knows no such thing",
  management_refused: "the Management API refuses what it was asked",
  management_unavailable: "the Management API does not answer, or not now",
  management_malformed: "the Management API's answer is not what it documents",
  // Files
  files_unauthorized: "Supabase Storage does not accept the key, or it sees nothing with it",
  files_unreachable: "Supabase Storage does not answer, or not now",
  files_refused: "Supabase Storage refuses what it was asked",
  files_full: "Supabase Storage has no room, or takes no object of that size",
  files_changed: "an object changed each time that it was read",
  files_damaged: "an object's bytes are not there or not those of its checksum",
  // Restore
  restore_refused:
    "hazards were not accepted, or there are rows where only lost ones were to be restored",
  target_unfit: "the target lacks something that the restore needs",
  target_not_empty: "the target holds objects and was said to be empty",
  restore_mismatch: "after the restore the target differs from the backup",
  restore_incomplete: "some items could not be restored; the others are",
  // Notifications
  channel_failed: "a channel did not take a message",
  // Recovery
  recovery_failed: "a plan of recovery has not done all that it says",
  step_timeout: "a step of a plan took longer than the plan allows",
  // Jobs
  cancelled: "the work was cancelled",
  interrupted: "the worker that did this job is gone",
  unhealthy: "something that backups hang on is critical",
  other_release: "another release of this software began the job",
  chunks_lost: "the storage has lost what earlier backups had stored",
  snapshot_lost: "what held the moment of the backup is gone",
  over_budget: "the work does not fit into what one worker or command may use",
  internal: "a defect of this software",
} as const;

/** A code of {@linkcode ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** What an error carries besides its message. */
export interface BackupErrorOptions {
  /** What the reader can do about it, in one or two sentences. */
  hint?: string;
  /** Names, counts and paths that a program may want; never secrets, never row values. */
  details?: Record<string, unknown>;
  /** What caused it. */
  cause?: unknown;
}

/**
 * The error that every layer throws.
 *
 * @example
 * ```ts
 * throw new BackupError("backup_not_found", "Cannot restore backup_1: no such backup", {
 *   hint: "List the backups with action=jobs.",
 * });
 * ```
 */
export class BackupError extends Error {
  override readonly name = "BackupError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: BackupErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

/** What an answer may say of an error: a defect's own message may quote anything, so it stays in the log. */
export function outwardMessage(error: BackupError): string {
  return error.code === "internal"
    ? "Cannot go on: an unexpected error, written to the function's log"
    : error.message;
}

/** The error itself if it is a {@linkcode BackupError}, else an `internal` one that keeps it as cause. */
export function toBackupError(error: unknown): BackupError {
  if (error instanceof BackupError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BackupError("internal", message, { cause: error });
}
