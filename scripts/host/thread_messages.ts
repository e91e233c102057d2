/**
 * What the main thread and its threads tell each other. Everything here survives a structured clone.
 *
 * @module
 */
import {
  BackupError,
  type ErrorCode,
  toBackupError,
} from "../../supabase/functions/backup/core/errors.ts";
import {
  DatabaseError,
  type DatabaseErrorFacts,
} from "../../supabase/functions/backup/postgres/database_error.ts";
import type { Piece } from "../../supabase/functions/backup/core/model.ts";
import type { LoadItem, TargetFacts } from "../../supabase/functions/backup/restore/mod.ts";
import type { ThreadAccess } from "../../supabase/functions/backup/open_settings.ts";
import type {
  RangeTask,
  SaveTask,
} from "../../supabase/functions/backup/usecases/items/save_task.ts";
import type { CopyRowsPayload } from "../../supabase/functions/backup/usecases/backup/copy_rows.ts";

export type { ThreadAccess };

/** What a session of a restore needs besides the pinned settings. */
export interface RestoreSettings extends Pick<TargetFacts, "role"> {
  lockTimeoutMs: number;
  jobs: number;
}

/** Connections by which one thread loads rows: the server has more work with them than the thread. */
export const LANES_A_THREAD = 2;

/** Rows of a backup to copy. */
export interface CopyTask {
  kind: "copy";
  snapshotId: string;
  payload: CopyRowsPayload;
}

/** A part of a restore to load. */
export interface LoadTask extends LoadItem {
  kind: "load";
  restore: RestoreSettings;
}

/** Rows of a backup to read, decrypt and unpack; they are handed over in slices, one for each piece. */
export interface ReadTask {
  kind: "read";
  pieces: readonly Piece[];
}

/** Items of a backup to save. */
export interface SaveWork {
  kind: "save";
  work: { items: SaveTask } | { range: RangeTask };
}

/** Work with rows of a database. */
export type ThreadTask = CopyTask | LoadTask;

/** Work for a thread of its kind. */
export type PoolTask = ThreadTask | ReadTask | SaveWork;

/** From the main thread. */
export type ToThread =
  | { say: "open"; access: ThreadAccess }
  | { say: "do"; id: number; task: PoolTask }
  | { say: "stop"; id: number }
  /** A slice is used up; its memory comes back with this. */
  | { say: "taken"; id: number; memory: ArrayBufferLike }
  | { say: "close" };

/** From a thread. */
export type FromThread =
  | { say: "bytes"; id: number; bytes: number }
  /** Its memory moves with it. */
  | { say: "slice"; id: number; slice: Uint8Array }
  /** An entry of which a fingerprint was another than the server's. */
  | { say: "doubtful"; entry: string }
  | { say: "done"; id: number; result: unknown }
  | { say: "failed"; id: number; error: PackedError }
  | { say: "closed" };

/** An error on its way between threads. */
export interface PackedError {
  code: ErrorCode;
  message: string;
  hint?: string;
  details?: Record<string, unknown>;
  /** Of a server's error. */
  facts?: DatabaseErrorFacts;
  /** Of a defect, for the log. */
  stack?: string;
}

/** Takes an error apart. */
export function packError(error: unknown): PackedError {
  const failure = toBackupError(error);
  const cause = failure.cause instanceof Error ? failure.cause : failure;
  return {
    code: failure.code,
    message: failure.message,
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    ...(failure.details === undefined ? {} : { details: failure.details }),
    ...(failure instanceof DatabaseError ? { facts: failure.facts } : {}),
    ...(failure.code === "internal" && cause.stack !== undefined ? { stack: cause.stack } : {}),
  };
}

/** Puts it together again, as the type that it was. */
export function unpackError(packed: PackedError): BackupError {
  const { code, message, facts, hint, details, stack } = packed;
  if (facts !== undefined) {
    const error = new DatabaseError("", facts, code);
    error.message = message;
    return error;
  }
  return new BackupError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(details === undefined ? {} : { details }),
    ...(stack === undefined ? {} : { cause: Object.assign(new Error(message), { stack }) }),
  });
}
