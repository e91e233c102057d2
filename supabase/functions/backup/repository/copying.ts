/**
 * Copying a repository into another storage: object by object, as they are stored. Nothing reaches a copy, or
 * takes the place of something there, that has not just been proved whole; and nothing is deleted from a copy
 * because the original lacks it: what somebody took away from one place has to stay in the other.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import type { Storage, StoredObject } from "../storage/storage.ts";
import { adoptBackups, type Adopted, type AdoptOptions, lockChunks } from "./adopt_backups.ts";
import { isDamage } from "./backups.ts";
import type { Problem } from "./check_lists.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { isWhole } from "./is_whole.ts";
import { mapConcurrent } from "./map_concurrent.ts";
import { BACKUPS, CHUNKS, DOCUMENTS, MANIFESTS, OWNERS, POINTS } from "./paths.ts";
import type { ObjectKind } from "./types.ts";

/** Objects on their way at once: each is in memory twice. */
const CONCURRENCY = 2;

/** What is copied object by object, in pieces that one part of a job can compare. */
export const COPIED_AREAS: readonly string[] = [
  ...narrower(CHUNKS),
  ...[MANIFESTS, DOCUMENTS, OWNERS],
];

/** Sixteen areas that are an area of chunks together; none for one that is not divided any more. */
export function narrowerAreas(area: string): string[] {
  return area.startsWith(CHUNKS) && area.length < CHUNKS.length + 2 ? narrower(area) : [];
}

function narrower(area: string): string[] {
  return Array.from("0123456789abcdef", (digit) => area + digit);
}

/** Records of backups, which are not copied but adopted, see {@linkcode Copying.adopt}. */
export const RECORD_AREA = BACKUPS;

/** Recovery points: only once the backups that they name are there. */
export const POINT_AREA = POINTS;

const KIND_OF: readonly (readonly [prefix: string, kind: ObjectKind])[] = [
  [CHUNKS, "chunk"],
  [MANIFESTS, "manifest"],
  [DOCUMENTS, "document"],
  [OWNERS, "owner"],
  [POINTS, "point"],
  [BACKUPS, "backup"],
];

/** A path and the bytes that the original has there. Survives JSON. */
export type Sized = [path: string, sizeBytes: number];

/** How a copy differs from the original in one area. */
export interface AreaDifference {
  /** Not in the copy. */
  missing: Sized[];
  /** In the copy with another length: damaged there, or in the original. */
  differing: Sized[];
  /** In both with the same length. */
  same: Sized[];
  /** What only the copy has: nothing here looks at it. */
  onlyInCopy: { count: number; bytes: number };
  /** There is more than was to be looked at: this is not the whole. */
  isCut: boolean;
}

/** What copying some objects came to. Survives JSON. */
export interface CopiedObjects {
  count: number;
  bytes: number;
  /** Of these, those that took the place of a damaged one. */
  replaced: number;
  /** Objects that could not be copied, and why. What has left the original meanwhile is none of them. */
  problems: Problem[];
}

/** What reading a copy's objects back came to. */
export interface CheckedObjects {
  bytes: number;
  /** Those that are not what was once stored. */
  damaged: Sized[];
}

/** See the module. What is damaged is in the answers; what cannot be reached is thrown. */
export interface Copying {
  /** @param options `replace`: takes the place of what the copy has there, where that is damaged */
  copy(
    paths: readonly string[],
    options?: { replace?: boolean; signal?: AbortSignal },
  ): Promise<CopiedObjects>;
  /** Reads objects of the copy back. */
  check(objects: readonly Sized[], options?: { signal?: AbortSignal }): Promise<CheckedObjects>;
  /**
   * Locks chunks of a backup in the copy, as its listing there needs it: as many as one worker can, from the one of
   * this number on.
   * @returns where to go on; null when all are locked, and where the storage locks nothing
   */
  lock(
    backupId: string,
    options: { from: number; most?: number; signal?: AbortSignal },
  ): Promise<number | null>;
  /**
   * Lists backups in the copy, each only when all that it refers to is there.
   * @returns null when they refer to more than one worker has room for, and nothing was done: ask for fewer
   */
  adopt(backupIds: readonly string[], options?: AdoptOptions): Promise<Adopted | null>;
}

/**
 * Compares two listings, both in order of name, of the objects whose path begins so.
 * @param options `most`: objects that are looked at
 */
export async function compareArea(
  original: Storage,
  copy: Storage,
  { area, most = Infinity, signal }: { area: string; most?: number; signal?: AbortSignal },
): Promise<AreaDifference> {
  const onlyInCopy = { count: 0, bytes: 0 };
  const difference: AreaDifference = {
    ...{ missing: [], differing: [], same: [], onlyInCopy, isCut: false },
  };
  let seen = 0;
  const copied = copy.list(area, signal)[Symbol.asyncIterator]();
  let next = await copied.next();
  const pass = async ({ sizeBytes }: StoredObject) => {
    seen++;
    onlyInCopy.count++;
    onlyInCopy.bytes += sizeBytes;
    next = await copied.next();
  };
  try {
    for await (const object of original.list(area, signal)) {
      while (!next.done && isBefore(next.value, object)) await pass(next.value);
      const there = !next.done && next.value.name === object.name ? next.value : null;
      const list = there === null
        ? difference.missing
        : there.sizeBytes === object.sizeBytes
        ? difference.same
        : difference.differing;
      list.push([object.name, object.sizeBytes]);
      if (there !== null) next = await copied.next();
      if (++seen > most) break;
    }
    while (!next.done && seen <= most) await pass(next.value);
    difference.isCut = seen > most;
  } finally {
    await copied.return?.();
  }
  return difference;
}

/** In the order of listings: that of UTF-8, which names of repositories share with JavaScript's. */
function isBefore(a: StoredObject, b: StoredObject): boolean {
  return a.name < b.name;
}

/** Opens the way from one repository to its copy, which has the same id and keys. */
export function openCopying(original: ChunkStore, copy: ChunkStore): Copying {
  return {
    copy: (paths, options = {}) => copyObjects({ original, copy }, paths, options),
    check: (objects, { signal } = {}) => checkObjects(copy, objects, signal),
    lock: (backupId, options) => lockChunks({ original, copy }, backupId, options),
    adopt: (backupIds, options = {}) => adoptBackups({ original, copy }, backupIds, options),
  };
}

async function copyObjects(
  { original, copy }: { original: ChunkStore; copy: ChunkStore },
  paths: readonly string[],
  { replace = false, signal }: { replace?: boolean; signal?: AbortSignal },
): Promise<CopiedObjects> {
  const done: CopiedObjects = { count: 0, bytes: 0, replaced: 0, problems: [] };
  await mapConcurrent(paths, CONCURRENCY, async (path) => {
    signal?.throwIfAborted();
    const sealed = await readWhole(original, path, signal);
    if (sealed === null) return;
    if (!(sealed instanceof Uint8Array)) {
      done.problems.push(sealed);
      return;
    }
    // Another length alone is no damage: what the copy has may have been compressed in another way.
    const place = { kind: kindOf(path), path };
    if (replace && await isWhole(copy.objects, place, signal)) return;
    const wasThere = replace && await copy.objects.storage.head(path, signal) !== null;
    if (wasThere && !await copy.objects.deleteUnlessLocked(path, signal)) {
      done.problems.push(problemOf(path, lockedDamage(path)));
      return;
    }
    const { created } = await copy.objects.putSealed(path, sealed, signal);
    if (!created) return; // another worker was faster, or an answer was lost: a comparison tells
    done.count++;
    done.bytes += sealed.length;
    if (wasThere) done.replaced++;
  });
  return done;
}

/** Null for what is not there any more: space was freed meanwhile. */
async function readWhole(
  original: ChunkStore,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | Problem | null> {
  try {
    return await original.objects.getSealed({ kind: kindOf(path), path }, signal);
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code === "object_missing") return null;
    if (!isDamage(failure.code)) throw failure;
    return problemOf(path, failure);
  }
}

async function checkObjects(
  copy: ChunkStore,
  objects: readonly Sized[],
  signal: AbortSignal | undefined,
): Promise<CheckedObjects> {
  const checked: CheckedObjects = { bytes: 0, damaged: [] };
  await mapConcurrent(objects, CONCURRENCY, async ([path, sizeBytes]) => {
    signal?.throwIfAborted();
    try {
      const { length } = await copy.objects.getSealed({ kind: kindOf(path), path }, signal);
      checked.bytes += length;
    } catch (error) {
      const failure = toBackupError(error);
      if (!isDamage(failure.code)) throw failure;
      checked.damaged.push([path, sizeBytes]);
    }
  });
  return checked;
}

function kindOf(path: string): ObjectKind {
  const known = KIND_OF.find(([prefix]) => path.startsWith(prefix));
  if (known !== undefined) return known[1];
  throw new BackupError("invalid_request", "Cannot copy the object: it is in no known folder");
}

function problemOf(path: string, { code, message }: BackupError): Problem {
  return { object: path, code, message, backups: [] };
}

function lockedDamage(path: string): BackupError {
  return new BackupError(
    "storage_refused",
    `Cannot replace ${path}: it is damaged in the copy, and a lock holds it there`,
  );
}
