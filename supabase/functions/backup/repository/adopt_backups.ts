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

/** Names of chunks that one worker holds; a single backup may have more, as whoever commits it holds them. */
const MOST_CHUNKS = 50_000;

/** Locks that one worker makes longer: each costs a request. */
const MOST_LOCKS = 400;

/** How backups are listed in a copy. */
export interface AdoptOptions {
  /** Their records there are damaged. @default false */
  replace?: boolean;
  /** Their chunks have just been locked, see `Copying.lock`. @default false */
  locked?: boolean;
  /** Chunks that several backups may refer to. @default as many as a worker has room for, and can lock */
  mostChunks?: number;
  signal?: AbortSignal;
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
  options: AdoptOptions,
): Promise<Adopted | null> {
  const { copy } = ends;
  const { mostChunks = copy.objects.locks.active ? MOST_LOCKS : MOST_CHUNKS, signal } = options;
  const result: Adopted = { adopted: [], gone: [], problems: [] };
  const candidates: Candidate[] = [];
  let held = 0;
  for (const backupId of backupIds) {
    signal?.throwIfAborted();
    await orSetAside(result, backupId, async () => {
      const candidate = await readCandidate(ends, backupId, signal);
      // As a new backup does: first what is needed is said, then it is looked whether it is there.
      await keepFromFreeing(copy.objects, { ...candidate, signal });
      held += candidate.chunks.size;
      candidates.push(candidate);
    });
    if (held > mostChunks && backupIds.length > 1) return null;
  }
  // All together: many chunks are looked for by listing them all.
  const wanted = new Set(candidates.flatMap(({ chunks }) => [...chunks]));
  const missing = await missingChunks(copy, wanted, signal);
  if (candidates.length > 0) await keepFoundation(copy.objects, signal);
  for (const candidate of candidates) {
    await orSetAside(result, candidate.backupId, async () => {
      const lacking = await firstLacking(copy, candidate, { missing, signal });
      if (lacking !== null) throw missingObject(lacking);
      const listed = await list(ends, candidate, options);
      if (listed) result.adopted.push(candidate.backupId);
      else result.problems.push(problemOf(candidate.backupId, heldDamage(candidate)));
    });
  }
  return result;
}

/** See `Copying.lock`. */
export async function lockChunks(
  ends: Ends,
  backupId: string,
  { from, most = MOST_LOCKS, signal }: { from: number; most?: number; signal?: AbortSignal },
): Promise<number | null> {
  if (!ends.copy.objects.locks.active) return null;
  let count = 0;
  // Whatever is wrong with it is told when it is to be listed.
  await orSetAside({ adopted: [], gone: [], problems: [] }, backupId, async () => {
    const { chunks } = await readCandidate(ends, backupId, signal);
    await ends.copy.extendLocks([...chunks].slice(from, from + most), signal);
    count = chunks.size;
  });
  return from + most < count ? from + most : null;
}

/** What is wrong with one backup keeps no other one from being listed. @throws what is not damage */
async function orSetAside(
  { gone, problems }: Adopted,
  backupId: string,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    const failure = toBackupError(error);
    const { code, details } = failure;
    const hasLeft = code === "object_missing" && details?.["path"] === backupPath(backupId);
    if (hasLeft || code === "backup_not_found") gone.push(backupId);
    else if (isDamage(code)) problems.push(problemOf(backupId, failure));
    else throw failure;
  }
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
  { replace = false, locked = false, signal }: AdoptOptions,
): Promise<boolean> {
  if (!locked) await copy.extendLocks(chunks, signal);
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
