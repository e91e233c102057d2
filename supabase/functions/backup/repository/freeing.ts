/**
 * Retention's and freeing's work on a repository, as one value.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import { isDamage } from "./backups.ts";
import type { ChunkStore } from "./chunk_store.ts";
import {
  expireBackups,
  type ExpiryReport,
  forgetExpired,
  readExpired,
  removePoints,
} from "./expire.ts";
import {
  beginFreeing,
  type BegunRun,
  concludeFreeing,
  type Freeable,
  type Freed,
  freeObjects,
  sweep,
  type Swept,
} from "./free_space.ts";
import type { ExpiredBackup } from "./freed_objects.ts";
import type { NameSet } from "./name_set.ts";
import { type ManifestRefs, refsOfLists, refsOfManifests } from "./reachable.ts";

/** What all calls take. */
interface CallOptions {
  signal?: AbortSignal | undefined;
}

/**
 * How long things last. A plan is used when it is older than `graceMs`; a run deletes for `lastsMs`; no object
 * that is younger than `graceMs` or that a lock of `lockedMs` may still hold is planned.
 */
export interface FreeingTimes {
  graceMs: number;
  lastsMs: number;
  lockedMs: number;
}

/** See the module. A run's id is that of its job; every call may be repeated. */
export interface Freeing {
  /** Takes backups out of the listing, after a note of them. */
  expire(
    backups: readonly ExpiredBackup[],
    options: CallOptions & { runId: string; at: Date },
  ): Promise<ExpiryReport>;
  /** Every backup that expired, by id, as far as notes are kept. */
  expired(
    options?: CallOptions & { since?: Date },
  ): Promise<Map<string, { at: string; why: string }>>;
  /** Forgets notes from before this moment. */
  forgetExpired(options: CallOptions & { before: Date }): Promise<void>;
  /** Takes recovery points away whose backups are all gone. @returns their ids */
  removePoints(pointIds: readonly string[], options?: CallOptions): Promise<string[]>;

  /** Says that a run begins to delete by the plans that are old enough. With `dryRun` it says nothing. */
  begin(options: CallOptions & { runId: string; times: FreeingTimes; dryRun: boolean }): Promise<
    BegunRun
  >;
  /** What manifests of backups refer to. @throws the `object_*` codes, naming the backup */
  refsOfManifests(backupIds: readonly string[], options?: CallOptions): Promise<ManifestRefs>;
  /** Adds to `into` what the lines of lists refer to. @throws the `object_*` codes */
  refsOfLists(lists: readonly string[], options: CallOptions & { into: NameSet }): Promise<void>;
  /** Looks at a part of the storage: chunks that begin with a digit, or `manifests`. */
  sweep(
    part: string,
    options: CallOptions & {
      reachable: NameSet;
      plans: readonly string[];
      times: FreeingTimes;
    },
  ): Promise<Swept>;
  /** Deletes, until the run's time has ended. */
  free(
    found: readonly Freeable[],
    options: CallOptions & { of: "chunks" | "manifests"; until: string; times: FreeingTimes },
  ): Promise<Freed>;
  /** Ends a run: `done` plans are over, and candidates become the next plan. */
  conclude(
    options: CallOptions & {
      runId: string;
      done: readonly string[];
      candidates: { chunks: readonly string[]; manifests: readonly string[] };
    },
  ): Promise<void>;
}

/** Opens the work on a repository's chunks. @param clock decides what is old, and until when may be deleted */
export function openFreeing(chunks: ChunkStore, clock: Clock = chunks.objects.clock): Freeing {
  const { objects } = chunks;
  return {
    expire: (backups, options) => expireBackups(objects, backups, options),
    expired: (options = {}) => readExpired(objects, options),
    forgetExpired: (options) => forgetExpired(objects, options),
    removePoints: (pointIds, { signal } = {}) => removePoints(objects, pointIds, signal),
    begin: ({ times: { graceMs, lastsMs }, ...options }) =>
      beginFreeing(objects, { graceMs, lastsMs, clock, ...options }),
    refsOfManifests: (backupIds, { signal } = {}) =>
      readable(() => refsOfManifests(chunks, backupIds, signal)),
    refsOfLists: (lists, { into, signal }) =>
      readable(() =>
        refsOfLists(chunks, lists, {
          found: (name) => void into.add(name),
          ...(signal === undefined ? {} : { signal }),
        })
      ),
    sweep: (part, { times: { graceMs, lockedMs }, ...options }) =>
      sweep(objects, { part, youngMs: Math.max(graceMs, lockedMs), clock, ...options }),
    free: (found, { times: { lastsMs }, ...options }) =>
      freeObjects(objects, found, { lastsMs, clock, ...options }),
    conclude: (options) => concludeFreeing(objects, { clock, ...options }),
  };
}

/** What cannot be read may refer to anything, so nothing is freed. */
async function readable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const { code, message, details } = toBackupError(error);
    if (!isDamage(code)) throw error;
    throw new BackupError(code, `Cannot free space: a kept backup cannot be read. ${message}`, {
      hint: "Nothing was freed. Verify the repository: a damaged backup that is not to be kept " +
        "expires by its age, and then space is freed again.",
      ...(details === undefined ? {} : { details }),
      cause: error,
    });
  }
}
