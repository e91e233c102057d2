/**
 * What follows from an error of a part.
 *
 * @module
 */
import { type BackupError, type ErrorCode } from "../core/errors.ts";
import type { PartFailure } from "../core/part.ts";
import { DatabaseError } from "../postgres/database_error.ts";

/** Passing troubles: of the network, of locks, of a worker's own limits. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "storage_unreachable",
  "storage_busy",
  "database_unreachable",
  "management_unavailable",
  "lock_timeout",
  "over_budget",
]);

/** What was seen until now is of no use: only another moment helps. */
const BEGIN_AGAIN: ReadonlySet<ErrorCode> = new Set([
  "concurrent_ddl",
  "snapshot_lost",
  "chunks_lost",
]);

/** Connections lost, resources short, rollbacks by the server, shutdowns, timeouts, locks not available. */
const PASSING_STATES = /^(08(?!P01)|53|40001|40P01|57P0[123]|57014|55P03)/;

/** The first pause; each further one is twice as long. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
/** Space is freed for minutes: the tries of a part together outlast it. */
const BUSY_PAUSE_MS = 180_000;

/** The pause before the next try of a part that was tried so many times. */
export function pauseMs(attempt: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 20));
}

/**
 * Tries of a part of the first step. Nothing is lost yet, and who has just asked for the job wants to
 * hear soon that its address or its storage does not answer.
 */
const FIRST_STEP_ATTEMPTS = 3;

/**
 * Tries of a part before it is believed that no worker has room for it. Several, because a platform that
 * ends its workers for reasons of its own looks the same.
 */
export const ROOM_ATTEMPTS = 5;

/** Whether to try again, begin again or give up. */
export function classifyFailure(
  error: BackupError,
  { step, attempt }: { step: number; attempt: number },
): PartFailure {
  if (BEGIN_AGAIN.has(error.code)) return { kind: "begin-again", error };
  if (!isPassing(error) || (step === 0 && attempt >= FIRST_STEP_ATTEMPTS)) {
    return { kind: "final", error };
  }
  if (error.code === "over_budget" && attempt > ROOM_ATTEMPTS) return { kind: "final", error };
  const afterMs = error.code === "storage_busy" ? BUSY_PAUSE_MS : pauseMs(attempt);
  return { kind: "retry", error, afterMs };
}

/** Whether a code says that something did not answer, which may be over in a moment. */
export function isOutOfReach(code: string): boolean {
  return code.endsWith("_unreachable") || code.endsWith("_unavailable");
}

function isPassing(error: BackupError): boolean {
  if (PASSING.has(error.code) || isOutOfReach(error.code)) return true;
  // What the server said may have been put into other words on its way up.
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (each instanceof DatabaseError) return PASSING_STATES.test(each.sqlState);
  }
  return false;
}
