/**
 * A verification's looks, each small enough for one part of a job, and all together as thorough as
 * `Repository.verify`: backups are opened, then their lists read, then the chunks that these name are
 * looked for by the first digit of their names.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import { refuseOversized } from "../storage/oversized.ts";
import {
  checkLists,
  findInLists,
  type ListChunk,
  type ListFinding,
  lookAtBackups,
  type LookedBackups,
  type Problem,
} from "./check_lists.ts";
import { addPacked, type ChunkEnds, keyOf, packEnds } from "./chunk_ends.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { findDamagedKeys } from "./key_ring.ts";
import { MAX_STORED_BYTES } from "./object.ts";
import { missingObject } from "./object_store.ts";
import { findDamagedOwners } from "./owners.ts";
import { backupPath, baseName, chunkPath, CHUNKS, isContentName, pointPath } from "./paths.ts";
import { listPoints } from "./points.ts";

interface CallOptions {
  signal?: AbortSignal;
}

/** What lists have come to. Survives JSON. */
export interface CheckedLists {
  findings: ListFinding[];
  /** The chunks that they name, for {@linkcode Checking.chunks}; apart by first digit. */
  named: string[];
}

/** A chunk that lists name and the storage has. */
export interface FoundChunk {
  name: string;
  storedBytes: number;
  /** How far lists reach into it. */
  end: number;
}

/** Chunks of one first digit. */
export interface FoundChunks {
  found: FoundChunk[];
  /** What of their names is known of those that are not there. */
  missing: string[];
  /** Those that are not to be read. */
  refused: { name: string; code: string; message: string }[];
}

/** See the module. What is damaged is in the answers; what cannot be reached is thrown. */
export interface Checking {
  /** Keys and owners that cannot be read: that stops nobody at once, so it is told here. */
  ownFiles(options?: CallOptions): Promise<Problem[]>;
  points(pointIds: readonly string[], options?: CallOptions): Promise<Problem[]>;
  backups(backupIds: readonly string[], options?: CallOptions): Promise<LookedBackups>;
  lists(lists: readonly ListChunk[], options?: CallOptions): Promise<CheckedLists>;
  /** @param named of all lists, of this digit */
  chunks(
    digit: string,
    named: Iterable<string> | AsyncIterable<string>,
    options?: CallOptions,
  ): Promise<FoundChunks>;
  /** Names by lists of what is missing or damaged, at most some of each list; in the order of the lists. */
  find(
    lists: readonly ListChunk[],
    options: CallOptions & { wanted: ReadonlySet<bigint>; most: number },
  ): Promise<string[][]>;
}

/** Opens the looks at a repository. */
export function openChecking(chunks: ChunkStore): Checking {
  return {
    ownFiles: ({ signal } = {}) => checkOwnFiles(chunks, signal),
    async points(ids, options = {}) {
      const { damaged } = await listPoints(chunks.objects, { ...options, ids });
      return damaged.map(({ pointId, code, message }) => ({
        ...{ object: pointPath(pointId), code, message },
        backups: [],
      }));
    },
    backups: (ids, { signal } = {}) => lookAtBackups(chunks, ids, signal),
    async lists(lists, options = {}) {
      const ends: ChunkEnds = new Map();
      const findings = await checkLists(chunks, lists, { ...options, into: ends });
      return { findings, named: packEnds(ends) };
    },
    chunks: (digit, named, { signal } = {}) => findChunks(chunks, { digit, named, signal }),
    find: (lists, options) => findInLists(chunks, lists, options),
  };
}

async function checkOwnFiles(
  { objects }: ChunkStore,
  signal: AbortSignal | undefined,
): Promise<Problem[]> {
  const finds = [findDamagedOwners(objects, signal), findDamagedKeys(objects.storage, signal)];
  return (await Promise.all(finds)).flatMap((found) =>
    [...found].map(([object, { code, message }]) => ({ object, code, message, backups: [] }))
  );
}

async function findChunks(
  { objects }: ChunkStore,
  { digit, named, signal }: {
    digit: string;
    named: Iterable<string> | AsyncIterable<string>;
    signal: AbortSignal | undefined;
  },
): Promise<FoundChunks> {
  const ends: ChunkEnds = new Map();
  for await (const packed of named) addPacked(ends, packed);
  const chunks: FoundChunks = { found: [], missing: [], refused: [] };
  if (ends.size === 0) return chunks;
  for await (const { name: path, sizeBytes } of objects.storage.list(CHUNKS + digit, signal)) {
    const name = baseName(path);
    if (!isContentName(name)) continue;
    const key = keyOf(name);
    const end = ends.get(key);
    if (end === undefined) continue;
    ends.delete(key);
    try {
      refuseOversized(path, sizeBytes, MAX_STORED_BYTES);
      chunks.found.push({ name, storedBytes: sizeBytes, end });
    } catch (error) {
      const { code, message } = toBackupError(error);
      chunks.refused.push({ name, code, message });
    }
  }
  chunks.missing = [...ends.keys()].map((key) => key.toString(16).padStart(16, "0"));
  return chunks;
}

/** A chunk as a verification's problem. @param what nothing for one that is not there */
export function chunkProblem(
  name: string,
  backups: string[],
  what: { code: string; message: string } = missingObject(chunkPath(name)),
): Problem {
  const { code, message } = what;
  return { object: chunkPath(name), code, message, backups };
}

/** A backup as a verification's problem: what it is made of cannot be read. */
export function backupProblem(
  backupId: string,
  { code, message }: { code: string; message: string },
): Problem {
  return { object: backupPath(backupId), code, message, backups: [backupId] };
}
