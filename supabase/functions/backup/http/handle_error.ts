/**
 * The only place where an error becomes an HTTP answer.
 *
 * @module
 */
import type { BackupError, ErrorCode } from "../core/errors.ts";

/** Status by code; what is not named is 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  unauthorized: 401,
  forbidden: 403,
  method_not_allowed: 405,
  unknown_action: 404,
  invalid_request: 400,
  payload_too_large: 413,
  not_found: 404,
  backup_not_found: 404,
  conflict: 409,
  invalid_config: 400,
  key_missing: 400,
  key_wrong: 400,
  key_weak: 400,
  repository_missing: 404,
  repository_foreign: 409,
  backups_lost: 409,
  restore_refused: 409,
  target_unfit: 409,
  target_not_empty: 409,
  database_unreachable: 503,
  lock_timeout: 503,
  storage_unreachable: 503,
  storage_busy: 503,
  storage_full: 507,
  management_unavailable: 503,
  files_unreachable: 503,
  files_full: 507,
  cancelled: 409,
  other_release: 409,
};

/** HTTP status of an error. */
export function statusOf(error: BackupError): number {
  return STATUS[error.code] ?? 500;
}

/** The error as the answer's `error`; a defect's own message stays in the log. */
export function errorBody(error: BackupError, requestId: string): Record<string, unknown> {
  if (error.code === "internal") {
    return {
      code: "internal",
      message: "Cannot serve this: an unexpected error",
      hint: `The function's log has it under request ${requestId}.`,
    };
  }
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}
