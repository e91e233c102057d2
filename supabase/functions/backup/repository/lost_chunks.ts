/**
 * Chunks that a storage has lost, as far as somebody has noticed: backups do not believe any more that they
 * are there, and store them again.
 *
 * @module
 */
import { listFreedRuns, type MissingNote, readFreedIfThere, writeFreed } from "./freed_objects.ts";
import type { ObjectStore } from "./object_store.ts";
import { freedPath, isContentName } from "./paths.ts";

/** Names in one note: what more is lost is noticed by the backup after. */
const MOST_NAMES = 10_000;

/** So long is a note of use: by then the chunks are stored again, or nobody refers to them. */
const NOTES_KEPT_MS = 30 * 86_400_000;

/** Writes down what a backup refers to and the storage does not have. */
export async function noteLost(
  objects: ObjectStore,
  { backupId, chunks, signal }: {
    backupId: string;
    chunks: readonly string[];
    signal: AbortSignal | undefined;
  },
): Promise<void> {
  const at = objects.clock.now().toISOString();
  const names = chunks.filter(isContentName).slice(0, MOST_NAMES);
  const value: MissingNote = { format: 1, at, chunks: names };
  await writeFreed(objects, { runId: backupId, what: "missing", value }, signal);
}

/** Names of chunks that were found lost. They may have been stored again since. */
export async function readLost(objects: ObjectStore, signal?: AbortSignal): Promise<Set<string>> {
  const lost = new Set<string>();
  for (const { runId, missing } of await listFreedRuns(objects, signal)) {
    if (!missing) continue;
    const note = await readFreedIfThere<MissingNote>(objects, { runId, what: "missing" }, signal);
    for (const name of note?.chunks ?? []) lost.add(name);
  }
  return lost;
}

/** Takes old notes away. */
export async function forgetLost(
  objects: ObjectStore,
  { now, signal }: { now: Date; signal: AbortSignal | undefined },
): Promise<void> {
  const before = now.getTime() - NOTES_KEPT_MS;
  for (const { runId, missing } of await listFreedRuns(objects, signal)) {
    if (!missing) continue;
    const note = await readFreedIfThere<MissingNote>(objects, { runId, what: "missing" }, signal);
    if (note !== null && Date.parse(note.at) < before) {
      await objects.deleteUnlessLocked(freedPath(runId, "missing"), signal);
    }
  }
}
