/**
 * The backup's side of freeing space: before it is committed it looks whether a plan would delete what it
 * refers to, and says what it needs.
 *
 * Backup and run never miss each other, without a lock. The backup writes what it needs and then looks
 * whether a run has begun to delete; the run writes that it begins and then looks what is needed. At least
 * one of them sees the other, because a storage shows what has been written to whoever looks later.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import {
  type BegunNote,
  type FreedRun,
  type FreePlan,
  listFreedRuns,
  readFreedIfThere,
  storedAt,
  writeFreed,
} from "./freed_objects.ts";
import type { ObjectStore } from "./object_store.ts";

/** So long after a run's time has ended its last request is over, and clocks differ by less. */
const SPARE_MS = 5 * 60_000;

/**
 * Makes sure that nothing which the backup refers to is deleted by a plan that there is now. What is
 * missing already is not found here.
 *
 * @throws `storage_busy` while a run deletes some of it: try again when that is over
 */
export async function keepFromFreeing(
  objects: ObjectStore,
  { backupId, chunks, manifest, signal }: {
    backupId: string;
    chunks: ReadonlySet<string>;
    /** Name of the backup's manifest. */
    manifest: string;
    signal?: AbortSignal | undefined;
  },
): Promise<void> {
  // Those that are done too: a worker that was thought dead may have a deletion on its way.
  for (const { runId, plan } of await listFreedRuns(objects, signal)) {
    if (!plan) continue;
    const named = await readFreedIfThere<FreePlan>(objects, { runId, what: "plan" }, signal);
    if (named === null) continue;
    const kept = {
      chunks: named.chunks.filter((name) => chunks.has(name)),
      manifests: named.manifests.filter((name) => name === manifest),
    };
    if (kept.chunks.length === 0 && kept.manifests.length === 0) continue;
    const value = { format: 1 as const, ...kept };
    const what = `kept-${backupId}`;
    const { created } = await writeFreed(objects, { runId, what, value }, signal);
    // A note of a try before this one has been seen meanwhile; a new one tells the storage's time.
    const keptAt = created ? await storedAt(objects, { runId, what }, signal) : null;
    await refuseWhileDeleting(objects, { runId, keptAt, signal });
  }
}

async function refuseWhileDeleting(
  objects: ObjectStore,
  { runId, keptAt, signal }: {
    runId: string;
    /** The present by the storage's clock, when it is known. */
    keptAt: Date | null;
    signal: AbortSignal | undefined;
  },
): Promise<void> {
  const run = (await listFreedRuns(objects, signal)).find((each) => each.runId === runId);
  for (const what of run?.begun ?? []) {
    const note = await readFreedIfThere<BegunNote>(objects, { runId, what }, signal);
    if (note === null) continue;
    const begunAt = keptAt && await storedAt(objects, { runId, what }, signal);
    const isOn = mayStillDelete(note, objects.clock.now()) ||
      (keptAt !== null && begunAt !== null && mayStillDelete(asStored(note, begunAt), keptAt));
    if (!isOn) continue;
    throw new BackupError(
      "storage_busy",
      "Cannot commit the backup: space is being freed, and it refers to some of that",
      {
        hint:
          "Try again when the cleanup has ended, or start the backup again: what it has stored is used.",
        details: { runId, until: note.until },
      },
    );
  }
}

/** The note as if whoever wrote it had the storage's clock: two hosts' clocks may differ by hours. */
function asStored({ at, until, ...note }: BegunNote, begunAt: Date): BegunNote {
  const lastsMs = Date.parse(until) - Date.parse(at);
  const end = new Date(begunAt.getTime() + lastsMs);
  return { ...note, at: begunAt.toISOString(), until: end.toISOString() };
}

/** Whether a run that has begun may still have a deletion on its way. */
export function mayStillDelete({ until }: BegunNote, now: Date): boolean {
  return now.getTime() < Date.parse(until) + SPARE_MS;
}

/** Plans by which nothing is deleted any more, with their notes. */
export function isOver({ plan, done }: FreedRun): boolean {
  return done || !plan;
}
