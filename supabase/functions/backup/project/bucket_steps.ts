/**
 * Restoring a bucket itself: what differs, what it means, and doing it.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { ItemResult, ItemStep, SavedItem } from "../core/items.ts";
import type { Json } from "../core/part.ts";
import { settingsOf } from "./object_facts.ts";
import type { BucketSettings } from "./object_types.ts";
import type { StorageApi } from "./storage_api.ts";

/** The step of a bucket. @param now its settings in the target, undefined when it is not there */
export function bucketStep(
  { key, facts }: SavedItem,
  { now, onExisting }: { now: BucketSettings | undefined; onExisting: "skip" | "replace" },
): ItemStep {
  const then = settingsOf(facts);
  if (now === undefined) {
    const difference = { ...then } as { [name: string]: Json };
    return {
      ...{ key, action: "create", title: `create bucket ${key}`, difference },
      ...hazardsOf(null, then),
    };
  }
  const difference = differenceOf(now, then);
  if (difference === null) return { key, action: "keep", title: `keep bucket ${key} as it is` };
  return onExisting === "skip"
    ? { key, action: "keep", title: `keep bucket ${key} with other settings`, difference }
    : {
      ...{ key, action: "replace", title: `change the settings of bucket ${key}`, difference },
      ...hazardsOf(now, then),
    };
}

/** Does the step of a bucket and looks at what it has become. @throws `files_*` */
export async function applyBucket(
  api: StorageApi,
  { step, item, signal }: { step: ItemStep; item: SavedItem; signal: AbortSignal },
): Promise<ItemResult> {
  const { key } = step;
  const then = settingsOf(item.facts);
  if (step.action === "create") await api.createBucket(key, then, signal);
  else await api.updateBucket(key, then, signal);
  const now = await api.bucket(key, signal);
  if (now !== null && differenceOf(now, then) === null) {
    return { key, outcome: "done", checked: "the bucket has the settings of the backup" };
  }
  throw new BackupError(
    "files_refused",
    now === null
      ? `Cannot restore bucket ${key}: it was created and is not there`
      : `Cannot restore bucket ${key}: it has other settings than those of the backup`,
    { hint: "Plan the restore again: somebody may have changed it meanwhile." },
  );
}

/** Settings that differ, each with both values; null when none does. */
function differenceOf(
  now: BucketSettings,
  then: BucketSettings,
): { [name: string]: Json } | null {
  const difference: { [name: string]: Json } = {};
  for (const name of ["public", "fileSizeLimit", "allowedMimeTypes"] as const) {
    const [a, b] = [valueOf(now, name), valueOf(then, name)];
    if (JSON.stringify(a) !== JSON.stringify(b)) difference[name] = { now: a, backup: b };
  }
  return Object.keys(difference).length === 0 ? null : difference;
}

/** The server takes an empty list of media types for none at all, which allows all. */
function valueOf(settings: BucketSettings, name: keyof BucketSettings): Json {
  const value = settings[name];
  return Array.isArray(value) && value.length === 0 ? null : value;
}

function hazardsOf(now: BucketSettings | null, then: BucketSettings): { hazards?: string[] } {
  const hazards: string[] = [];
  if (then.public && now?.public !== true) {
    hazards.push("Anyone who knows their names can read the objects of a public bucket.");
  }
  if (now?.public === true && !then.public) {
    hazards.push("Public addresses of its objects stop working.");
  }
  return hazards.length === 0 ? {} : { hazards };
}
