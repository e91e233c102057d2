/**
 * What the locks of all storages have in common.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import type { ObjectLock } from "./storage.ts";

const DAY_MS = 86_400_000;
/** Requests for single objects at once. */
const GROUP = 8;

/** Until when an object is locked that is stored now. */
export function lockedUntil({ days }: ObjectLock, clock: Clock): Date {
  return new Date(clock.now().getTime() + days * DAY_MS);
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
