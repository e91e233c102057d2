/**
 * Backups in a copy: their records follow everything that they refer to, so that what a copy lists can be
 * restored from it.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import {
  isDamage,
  keepFoundation,
  missingChunks,
  readAnyBackup,
  referredChunks,
} from "./backups.ts";
import type { Problem } from "./check_lists.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { isWhole } from "./is_whole.ts";
import { keepFromFreeing } from "./keep_from_freeing.ts";
import { missingObject } from "./object_store.ts";
import { backupPath, chunkPath, manifestPath } from "./paths.ts";
import type { Manifest } from "./types.ts";

/** What became of backups that were to be listed in a copy. Survives JSON. */
export interface Adopted {
  /** Listed there now, whoever has done it. */
  adopted: string[];
  /** Those that the original does not have any more. */
  gone: string[];
  /** Those that cannot be listed, and why. */
  problems: Problem[];
}

/** A backup of the original, and all chunks that it refers to. */
interface Candidate {
  backupId: string;
  manifest: string;
  chunks: Set<string>;
}

/** Both ends of copying. */
interface Ends {
  original: ChunkStore;
  copy: ChunkStore;
}

/** See `Copying.adopt`. */
export async function adoptBackups(
  ends: Ends,
  backupIds: readonly string[],
  { replace = false, signal }: { replace?: boolean; signal?: AbortSignal },
): Promise<Adopted> {
  const { copy } = ends;
  const result: Adopted = { adopted: [], gone: [], problems: [] };
  const candidates: Candidate[] = [];
  for (const backupId of backupIds) {
    signal?.throwIfAborted();
    try {
      const candidate = await readCandidate(ends, backupId, signal);
      // As a new backup does: first what is needed is said, then it is looked whether it is there.
      await keepFromFreeing(copy.objects, { ...candidate, signal });
      candidates.push(candidate);
    } catch (error) {
      const failure = toBackupError(error);
      if (failure.code === "backup_not_found") result.gone.push(backupId);
      else if (isDamage(failure.code)) result.problems.push(problemOf(backupId, failure));
      else throw failure;
    }
  }
  // All together: many chunks are looked for by listing them all.
  const wanted = new Set(candidates.flatMap(({ chunks }) => [...chunks]));
  const missing = await missingChunks(copy, wanted, signal);
  if (candidates.length > 0) await keepFoundation(copy.objects, signal);
  for (const candidate of candidates) {
    const lacking = await firstLacking(copy, candidate, { missing, signal });
    if (lacking !== null) {
      result.problems.push(problemOf(candidate.backupId, missingObject(lacking)));
      continue;
    }
    const listed = await list(ends, candidate, { replace, signal });
    if (listed) result.adopted.push(candidate.backupId);
    else result.problems.push(problemOf(candidate.backupId, heldDamage(candidate)));
  }
  return result;
}

/** Its lists are read from the copy, which proves that they are there and whole. */
async function readCandidate(
  { original, copy }: Ends,
  backupId: string,
  signal: AbortSignal | undefined,
): Promise<Candidate> {
  const { record, manifest } = await readAnyBackup(original, backupId, signal);
  const chunks = await referredChunks(copy, manifest as Manifest, signal);
  return { backupId, manifest: record.manifest, chunks };
}

/** The path of something that the backup needs and the copy does not have; null when it has everything. */
async function firstLacking(
  { objects }: ChunkStore,
  { manifest, chunks }: Candidate,
  { missing, signal }: { missing: ReadonlySet<string>; signal: AbortSignal | undefined },
): Promise<string | null> {
  for (const name of chunks) if (missing.has(name)) return chunkPath(name);
  const path = manifestPath(manifest);
  return await objects.storage.head(path, signal) === null ? path : null;
}

/** False when a lock holds what is damaged there. */
async function list(
  { original, copy }: Ends,
  { backupId, manifest, chunks }: Candidate,
  { replace, signal }: { replace: boolean; signal: AbortSignal | undefined },
): Promise<boolean> {
  await copy.extendLocks(chunks, signal);
  await copy.objects.locks.extend([manifestPath(manifest)], signal);
  const path = backupPath(backupId);
  if (replace && await isWhole(copy.objects, { kind: "backup", path }, signal)) return true;
  const sealed = await original.objects.getSealed({ kind: "backup", path }, signal);
  if (replace && !await copy.objects.deleteUnlessLocked(path, signal)) return false;
  await copy.objects.putSealed(path, sealed, signal);
  return true;
}

function heldDamage({ backupId }: Candidate): BackupError {
  const message = `Cannot replace the record of ${backupId}: it is damaged, and a lock holds it`;
  return new BackupError("storage_refused", message);
}

function problemOf(backupId: string, { code, message }: BackupError): Problem {
  return { object: backupPath(backupId), code, message, backups: [backupId] };
}
