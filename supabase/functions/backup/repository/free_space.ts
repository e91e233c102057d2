/**
 * Freeing space: what nothing refers to is written into a plan, and deleted by a later run if nothing refers
 * to it then either. The order and the reasons are in `docs/decisions/0012-freeing-space.md`.
 *
 * A run is: `begin`, then `refsOfManifests` and `refsOfLists` of all backups, then `sweep` of every part of
 * the chunks, `free` of what it found, and `conclude`. Reachability is looked at after the run has said that
 * it begins, so that it knows every backup that did not see it begin.
 *
 * @module
 */
import { type Clock, startStopwatch } from "../core/clock.ts";
import {
  type BegunNote,
  type FreedRun,
  type FreePlan,
  type KeptNote,
  listFreedRuns,
  readFreed,
  readFreedIfThere,
  storedAt,
  writeFreed,
} from "./freed_objects.ts";
import { isOver, mayStillDelete } from "./keep_from_freeing.ts";
import { forgetLost } from "./lost_chunks.ts";
import { mapConcurrent } from "./map_concurrent.ts";
import { NameSet } from "./name_set.ts";
import type { ObjectStore } from "./object_store.ts";
import {
  baseName,
  chunkPath,
  CHUNKS,
  freedPath,
  isContentName,
  manifestPath,
  MANIFESTS,
} from "./paths.ts";

/** Most names in one plan: a backup that is committed reads it. */
export const MOST_PLANNED = 100_000;

/** Deletions at once. */
const CONCURRENCY = 8;

/** Storages tell whole seconds. */
const WHOLE_SECONDS_MS = 1000;

/** A plan that a run deletes by. */
export interface BegunRun {
  /** Plans that are old enough; none when there is nothing to delete yet. */
  plans: string[];
  /** Until when it may delete, ISO 8601. */
  until: string;
  /** Moments from which plans that are too young may be used. */
  waiting: string[];
}

/** Something to delete, or that may be deleted later. */
export interface Freeable {
  name: string;
  sizeBytes: number;
}

/** What a sweep found in its part of the storage. */
export interface Swept {
  /** Planned before, and still without anybody who refers to it. */
  freeable: Freeable[];
  /** Not referred to, old enough, and in no plan yet. */
  candidates: Freeable[];
  /** Not referred to, and too young or in a plan that is. */
  waiting: { count: number; bytes: number };
  kept: { count: number; bytes: number };
}

/** What was deleted. */
export interface Freed {
  count: number;
  bytes: number;
  /** The storage did not give them up: locks or holds. */
  refused: number;
  /** Left because the run's time had ended. */
  left: number;
}

/** See `Repository.freeing.begin`. */
export async function beginFreeing(
  objects: ObjectStore,
  { runId, graceMs, lastsMs, clock, dryRun, signal }: {
    runId: string;
    graceMs: number;
    lastsMs: number;
    clock: Clock;
    dryRun: boolean;
    signal?: AbortSignal | undefined;
  },
): Promise<BegunRun> {
  const now = clock.now();
  const begun: BegunRun = {
    plans: [],
    until: new Date(now.getTime() + lastsMs).toISOString(),
    waiting: [],
  };
  for (const run of await listFreedRuns(objects, signal)) {
    if (isOver(run) || run.runId === runId) continue;
    const plan = await readFreedIfThere<FreePlan>(
      objects,
      { runId: run.runId, what: "plan" },
      signal,
    );
    if (plan === null) continue;
    const from = Date.parse(plan.at) + graceMs;
    if (from > now.getTime()) {
      begun.waiting.push(new Date(from).toISOString());
      continue;
    }
    if (!dryRun) {
      const what = `begun-${runId}`;
      const value = { format: 1 as const, at: now.toISOString(), until: begun.until };
      const { created } = await writeFreed(objects, { runId: run.runId, what, value }, signal);
      if (!created) {
        // This part was done before, by a worker that is gone: its time counts.
        const first = await readFreed<BegunNote>(objects, { runId: run.runId, what }, signal);
        if (first.until < begun.until) begun.until = first.until;
      }
      const usableFrom = await storedLongEnough(objects, {
        runId: run.runId,
        what,
        graceMs,
        signal,
      });
      if (usableFrom !== null) {
        begun.waiting.push(usableFrom.toISOString());
        continue;
      }
    }
    begun.plans.push(run.runId);
  }
  return begun;
}

/**
 * Null when the plan is old enough by the storage's clock too, else when it will be. Clocks of hosts may be wrong
 * by hours: one makes the plan look old, another one the present late.
 */
async function storedLongEnough(
  objects: ObjectStore,
  { runId, what, graceMs, signal }: {
    runId: string;
    /** The run's own note beside the plan. */
    what: string;
    graceMs: number;
    signal: AbortSignal | undefined;
  },
): Promise<Date | null> {
  const plannedAt = await storedAt(objects, { runId, what: "plan" }, signal);
  const begunAt = await storedAt(objects, { runId, what }, signal);
  if (plannedAt === null || begunAt === null) return null;
  const from = plannedAt.getTime() + graceMs;
  return begunAt.getTime() + WHOLE_SECONDS_MS < from ? new Date(from) : null;
}

/** Plans in memory: what is due, what is needed after all, and what waits. */
interface PlannedNames {
  due: NameSet;
  kept: NameSet;
  waiting: NameSet;
}

/**
 * Looks at all chunks whose names begin with a digit, or at all manifests.
 *
 * @param options `reachable` holds at least all names that begin so and are referred to
 */
export async function sweep(
  objects: ObjectStore,
  { part, reachable, plans, youngMs, clock, signal }: {
    /** `0` to `f`, or `manifests`. */
    part: string;
    reachable: NameSet;
    plans: readonly string[];
    /** Younger objects may be a running backup's, or locked. */
    youngMs: number;
    clock: Clock;
    signal?: AbortSignal | undefined;
  },
): Promise<Swept> {
  const planned = await readPlanned(objects, { part, plans, signal });
  const young = clock.now().getTime() - youngMs;
  const swept: Swept = {
    freeable: [],
    candidates: [],
    waiting: { count: 0, bytes: 0 },
    kept: { count: 0, bytes: 0 },
  };
  const count = (group: { count: number; bytes: number }, bytes: number) => {
    group.count++;
    group.bytes += bytes;
  };
  const prefix = part === "manifests" ? MANIFESTS : CHUNKS + part;
  for await (const object of objects.storage.list(prefix, signal)) {
    const name = baseName(object.name);
    if (!isContentName(name)) continue;
    const { sizeBytes, modifiedAt } = object;
    const isYoung = modifiedAt !== null && modifiedAt.getTime() > young;
    if (reachable.has(name) || planned.kept.has(name)) count(swept.kept, sizeBytes);
    else if (isYoung || planned.waiting.has(name)) count(swept.waiting, sizeBytes);
    else if (planned.due.has(name)) swept.freeable.push({ name, sizeBytes });
    else if (swept.candidates.length < mostCandidates(part)) {
      swept.candidates.push({ name, sizeBytes });
    } else count(swept.waiting, sizeBytes);
  }
  return swept;
}

/** So that all parts together fit into one plan. */
function mostCandidates(part: string): number {
  return part === "manifests" ? 1000 : Math.floor((MOST_PLANNED - 1000) / 16);
}

async function readPlanned(
  objects: ObjectStore,
  { part, plans, signal }: {
    part: string;
    plans: readonly string[];
    signal: AbortSignal | undefined;
  },
): Promise<PlannedNames> {
  const names: PlannedNames = { due: new NameSet(), kept: new NameSet(), waiting: new NameSet() };
  const add = (set: NameSet, { chunks, manifests }: Pick<FreePlan, "chunks" | "manifests">) => {
    if (part === "manifests") { for (const name of manifests) set.add(name); }
    else for (const name of chunks) if (name.startsWith(part)) set.add(name);
  };
  for (const run of await listFreedRuns(objects, signal)) {
    if (isOver(run)) continue;
    const { runId } = run;
    const plan = await readFreedIfThere<FreePlan>(objects, { runId, what: "plan" }, signal);
    if (plan === null) continue;
    add(plans.includes(runId) ? names.due : names.waiting, plan);
    for (const note of await readKept(objects, run, signal)) add(names.kept, note);
  }
  return names;
}

/** What backups need of a plan. @throws the `object_*` codes: what cannot be read may name anything */
async function readKept(
  objects: ObjectStore,
  { runId, kept }: FreedRun,
  signal: AbortSignal | undefined,
): Promise<KeptNote[]> {
  const notes: KeptNote[] = [];
  for (const what of kept) notes.push(await readFreed<KeptNote>(objects, { runId, what }, signal));
  return notes;
}

/**
 * Deletes chunks, or manifests, as long as the run may; but for what a backup has said that it needs since the
 * sweep: that one waits until the run is over, by a clock that may be wrong.
 *
 * @param options `until` as `beginFreeing` gave it; no call deletes for longer than `lastsMs`, though the clock was
 * set back since
 */
export async function freeObjects(
  objects: ObjectStore,
  found: readonly Freeable[],
  { of, until, lastsMs, clock, signal }: {
    of: "chunks" | "manifests";
    until: string;
    lastsMs: number;
    clock: Clock;
    signal?: AbortSignal | undefined;
  },
): Promise<Freed> {
  const freed: Freed = { count: 0, bytes: 0, refused: 0, left: 0 };
  const leftMs = Math.min(Date.parse(until) - clock.now().getTime(), lastsMs);
  const sinceBegunMs = startStopwatch(clock);
  const kept = new NameSet();
  for (const run of await listFreedRuns(objects, signal)) {
    for (const note of await readKept(objects, run, signal)) {
      for (const name of note[of]) kept.add(name);
    }
  }
  await mapConcurrent(found, CONCURRENCY, async ({ name, sizeBytes }) => {
    signal?.throwIfAborted();
    if (kept.has(name)) return;
    if (sinceBegunMs() >= leftMs) return void freed.left++;
    const path = of === "chunks" ? chunkPath(name) : manifestPath(name);
    if (!await objects.deleteUnlessLocked(path, signal)) return void freed.refused++;
    freed.count++;
    freed.bytes += sizeBytes;
  });
  return freed;
}

/**
 * Ends a run: the plans that it has gone through are over, and what it found becomes the next plan.
 *
 * @param options `done` plans of which nothing is left to delete
 */
export async function concludeFreeing(
  objects: ObjectStore,
  { runId, done, candidates, clock, signal }: {
    runId: string;
    done: readonly string[];
    candidates: { chunks: readonly string[]; manifests: readonly string[] };
    clock: Clock;
    signal?: AbortSignal | undefined;
  },
): Promise<void> {
  for (const planId of done) {
    await writeFreed(objects, { runId: planId, what: "done", value: { format: 1 } }, signal);
  }
  const { chunks, manifests } = candidates;
  if (chunks.length + manifests.length > 0) {
    const plan: FreePlan = {
      format: 1,
      at: clock.now().toISOString(),
      chunks: [...chunks],
      manifests: [...manifests],
    };
    await writeFreed(objects, { runId, what: "plan", value: plan }, signal);
  }
  await clearDone(objects, { clock, signal });
  await forgetLost(objects, { now: clock.now(), signal });
}

/** Takes away what is left of plans that are over; a `done` goes last, and after it was of use. */
async function clearDone(
  objects: ObjectStore,
  { clock, signal }: { clock: Clock; signal: AbortSignal | undefined },
): Promise<void> {
  for (const run of await listFreedRuns(objects, signal)) {
    if (!run.done) continue;
    const { runId } = run;
    const notes = await Promise.all(
      run.begun.map((what) => readFreedIfThere<BegunNote>(objects, { runId, what }, signal)),
    );
    // A worker that was thought dead may still read the plan: it finds it done.
    if (notes.some((note) => note !== null && mayStillDelete(note, clock.now()))) continue;
    for (const what of [...run.kept, "plan", ...run.begun, "done"]) {
      await objects.deleteUnlessLocked(freedPath(runId, what), signal);
    }
  }
}
