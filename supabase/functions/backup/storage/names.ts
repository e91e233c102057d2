/**
 * The form of object names, checked by every storage before it touches anything.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";

const SEGMENT = /^[A-Za-z0-9._=-]+$/;

/** Returns the name. @throws `storage_refused` when it is not one that every storage can hold. */
export function checkName(name: string): string {
  const segments = name.split("/");
  const good = name.length <= 512 &&
    segments.every((segment) => SEGMENT.test(segment) && !segment.startsWith("."));
  if (good) return name;
  throw new BackupError("storage_refused", `Cannot use object name ${JSON.stringify(name)}`, {
    hint: "Names are segments of letters, digits and . _ = -, joined by slashes.",
  });
}

/** Orders names by their bytes; names are ASCII, so code units do. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
