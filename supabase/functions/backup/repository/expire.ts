/**
 * Expiring backups: their records leave storage, and a note says so before, because a backup that is missing
 * without one was taken away by somebody. What they referred to is freed later.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { isJobId, momentOfJobId } from "../core/ids.ts";
import {
  type ExpiredBackup,
  type ExpiredNote,
  listFreedRuns,
  readFreed,
  readFreedIfThere,
  writeFreed,
} from "./freed_objects.ts";
import type { ObjectStore } from "./object_store.ts";
import { backupPath, freedPath, pointPath } from "./paths.ts";

/** What became of backups that were to expire. */
export interface ExpiryReport {
  expired: string[];
  /** The storage does not give them up: a lock or a hold. */
  refused: { backupId: string; message: string }[];
}

/** See `Repository.expire`. */
export async function expireBackups(
  objects: ObjectStore,
  backups: readonly ExpiredBackup[],
  { runId, at, signal }: { runId: string; at: Date; signal?: AbortSignal | undefined },
): Promise<ExpiryReport> {
  const report: ExpiryReport = { expired: [], refused: [] };
  const place = { runId, what: "expired" };
  const before = await readFreedIfThere<ExpiredNote>(objects, place, signal);
  if (backups.length === 0 && before === null) return report;
  if (!backups.every(({ backupId }) => isJobId(backupId))) {
    throw new BackupError("invalid_request", "Cannot expire a backup: its id has another form");
  }
  const note = before ?? { format: 1 as const, at: at.toISOString(), backups: [...backups] };
  if (before === null && !(await writeFreed(objects, { ...place, value: note }, signal)).created) {
    await readFreed<ExpiredNote>(objects, place, signal); // an answer was lost; or it is somebody else's
  }
  const wanted = new Set(backups.map(({ backupId }) => backupId));
  // What is wanted and not in the note, because a try before this one wrote another, is the next run's.
  for (const { backupId } of note.backups) {
    const path = backupPath(backupId);
    try {
      if (wanted.has(backupId)) await objects.storage.delete(path, signal);
      else if (await objects.storage.head(path, signal) !== null) continue;
      report.expired.push(backupId);
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== "storage_refused") throw error;
      report.refused.push({ backupId, message: error.message });
    }
  }
  return report;
}

/** A run's id tells when it began, by a clock that may have been wrong. */
const WRONG_MS = 7 * 86_400_000;

/**
 * Every backup that retention ever let go, by id, as far as notes are kept.
 *
 * @param options `since`: what expired before is not asked for
 */
export async function readExpired(
  objects: ObjectStore,
  { since, signal }: { since?: Date | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Map<string, { at: string; why: string }>> {
  const found = new Map<string, { at: string; why: string }>();
  const from = (since?.getTime() ?? -Infinity) - WRONG_MS;
  for (const { runId, expired } of await listFreedRuns(objects, signal)) {
    if (!expired || (momentOfJobId(runId)?.getTime() ?? Infinity) < from) continue;
    const note = await readFreedIfThere<ExpiredNote>(objects, { runId, what: "expired" }, signal);
    for (const { backupId, why } of note?.backups ?? []) found.set(backupId, { at: note!.at, why });
  }
  return found;
}

/** Takes away recovery points of which there is no backup any more. */
export async function removePoints(
  objects: ObjectStore,
  pointIds: readonly string[],
  signal?: AbortSignal,
): Promise<string[]> {
  const removed: string[] = [];
  for (const pointId of pointIds) {
    // One that a lock holds stays, and is listed as one without backups.
    if (await objects.deleteUnlessLocked(pointPath(pointId), signal)) removed.push(pointId);
  }
  return removed;
}

/** Forgets notes of runs before this moment. */
export async function forgetExpired(
  objects: ObjectStore,
  { before, signal }: { before: Date; signal?: AbortSignal | undefined },
): Promise<void> {
  for (const { runId, expired } of await listFreedRuns(objects, signal)) {
    const isYoung = (momentOfJobId(runId)?.getTime() ?? 0) > before.getTime() + WRONG_MS;
    if (!expired || isYoung) continue;
    const note = await readFreedIfThere<ExpiredNote>(objects, { runId, what: "expired" }, signal);
    if (note === null || Date.parse(note.at) >= before.getTime()) continue;
    await objects.deleteUnlessLocked(freedPath(runId, "expired"), signal);
  }
}
