/**
 * What freeing space writes down in storage, under `freed/<run>/`: which backups expired, which chunks may
 * go, that a run has begun to delete them, what a backup needs of them after all, and what is lost.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { ObjectStore } from "./object_store.ts";
import { baseName, FREED, freedPath } from "./paths.ts";

/** A backup that retention let go. */
export interface ExpiredBackup {
  backupId: string;
  why: string;
}

/** `expired`: written before the records are deleted. */
export interface ExpiredNote {
  format: 1;
  at: string;
  backups: ExpiredBackup[];
}

/** `plan`: what nothing referred to when it was made. Names of content. */
export interface FreePlan {
  format: 1;
  at: string;
  chunks: string[];
  manifests: string[];
}

/** `begun-<run>`: a run deletes by the plan, until then at the latest. */
export interface BegunNote {
  format: 1;
  at: string;
  until: string;
}

/** `kept-<backup>`: what a backup refers to of what the plan names. */
export interface KeptNote {
  format: 1;
  chunks: string[];
  manifests: string[];
}

/** `missing`: chunks that a backup referred to and the storage did not have. The run is the backup. */
export interface MissingNote {
  format: 1;
  at: string;
  chunks: string[];
}

/** The objects of one run, as a listing shows them. */
export interface FreedRun {
  runId: string;
  expired: boolean;
  missing: boolean;
  plan: boolean;
  /** The plan is over: nothing deletes by it any more. */
  done: boolean;
  /** Names of the notes. */
  begun: string[];
  kept: string[];
}

const RUN = /^[0-9A-Za-z_]{1,80}$/;

const NOTHING_LEFT = { expired: false, missing: false, plan: false, done: false };

/** All runs that left something, oldest first. */
export async function listFreedRuns(
  objects: ObjectStore,
  signal?: AbortSignal,
): Promise<FreedRun[]> {
  const runs = new Map<string, FreedRun>();
  for await (const { name } of objects.storage.list(FREED, signal)) {
    const runId = name.slice(FREED.length, name.lastIndexOf("/"));
    if (!RUN.test(runId)) continue;
    let run = runs.get(runId);
    if (run === undefined) {
      run = { runId, ...NOTHING_LEFT, begun: [], kept: [] };
      runs.set(runId, run);
    }
    const what = baseName(name);
    if (what === "expired") run.expired = true;
    else if (what === "missing") run.missing = true;
    else if (what === "plan") run.plan = true;
    else if (what === "done") run.done = true;
    else if (what.startsWith("begun-")) run.begun.push(what);
    else if (what.startsWith("kept-")) run.kept.push(what);
  }
  return [...runs.values()];
}

/** Writes a note unless it is there. */
export async function writeFreed(
  objects: ObjectStore,
  { runId, what, value }: {
    runId: string;
    what: string;
    value: ExpiredNote | FreePlan | BegunNote | KeptNote | MissingNote | { format: 1 };
  },
  signal?: AbortSignal,
): Promise<{ created: boolean }> {
  const path = freedPath(runId, what);
  return await objects.put(utf8(JSON.stringify(value)), { kind: "freed", path }, signal);
}

/** Reads a note. @throws the `object_*` codes */
export async function readFreed<T extends { format: 1 }>(
  objects: ObjectStore,
  { runId, what }: { runId: string; what: string },
  signal?: AbortSignal,
): Promise<T> {
  const path = freedPath(runId, what);
  const content = await objects.get({ kind: "freed", path }, signal);
  const value = JSON.parse(fromUtf8(content)) as T;
  if (value.format === 1) return value;
  throw new BackupError("repository_format", `Cannot read ${path}: unknown format`, {
    hint: "Use a newer release of this software.",
  });
}

/**
 * As {@linkcode readFreed}; null when somebody has cleared it away meanwhile, or when it is not what somebody
 * with the key has written: whoever writes to the storage could stop all backups by such a note.
 */
export async function readFreedIfThere<T extends { format: 1 }>(
  objects: ObjectStore,
  place: { runId: string; what: string },
  signal?: AbortSignal,
): Promise<T | null> {
  try {
    return await readFreed<T>(objects, place, signal);
  } catch (error) {
    if (error instanceof BackupError && error.code.startsWith("object_")) return null;
    throw error;
  }
}

/** When a note was stored, by the storage's own clock; null where it does not tell, or there is no note. */
export async function storedAt(
  objects: ObjectStore,
  { runId, what }: { runId: string; what: string },
  signal?: AbortSignal,
): Promise<Date | null> {
  return (await objects.storage.head(freedPath(runId, what), signal))?.modifiedAt ?? null;
}
