/**
 * What the locks of all storages have in common.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import type { ObjectLock } from "./storage.ts";

const DAY_MS = 86_400_000;
/** A lock is made so much longer than asked for, so that it need not be made longer at every use. */
const SPARE_MS = 3_600_000;
/** Requests for single objects at once. */
const GROUP = 8;

/** How long an object has to be locked, in ms. */
export function lockedFor({ days }: ObjectLock): number {
  return days * DAY_MS;
}

/** Until when an object is locked that is stored, or used again, now. */
export function lockedUntil(lock: ObjectLock, clock: Clock): Date {
  const ms = lockedFor(lock);
  return new Date(clock.now().getTime() + ms + Math.min(SPARE_MS, ms / 10));
}

/** Does the same with every name, a few at a time. */
export async function inGroups(
  names: readonly string[],
  run: (name: string) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < names.length; at += GROUP) {
    await Promise.all(names.slice(at, at + GROUP).map(run));
  }
}
