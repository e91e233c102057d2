/**
 * Whether a stored object may stay where it is.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import { isDamage } from "./backups.ts";
import type { ObjectPlace, ObjectStore } from "./object_store.ts";

/** Reads an object back: false for one that is damaged or not there. @throws `storage_*` */
export async function isWhole(
  objects: ObjectStore,
  place: ObjectPlace,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    await objects.getSealed(place, signal);
    return true;
  } catch (error) {
    const failure = toBackupError(error);
    if (isDamage(failure.code)) return false;
    throw failure;
  }
}
