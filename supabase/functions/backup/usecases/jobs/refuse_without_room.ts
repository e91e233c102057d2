/**
 * Gives up a part that nothing can cut and that ends worker after worker.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Lease } from "../../core/part.ts";
import { ROOM_ATTEMPTS } from "../../jobs/classify_failure.ts";

/** What is given up, for the error. */
export interface Undoable {
  /** As in "Cannot read the definitions". */
  doing: string;
  hint: string;
  details?: Record<string, unknown>;
}

/** @throws `over_budget` when it was tried as often as it was to be, and the last worker was ended before it was done */
export function refuseWithoutRoom(
  { attempt, previous }: Pick<Lease, "attempt" | "previous">,
  { doing, hint, details = {} }: Undoable,
): void {
  if (previous !== "interrupted" || attempt <= ROOM_ATTEMPTS) return;
  throw new BackupError(
    "over_budget",
    `Cannot ${doing}: ${triedInVain({ attempt })}`,
    { hint, details },
  );
}

/** How the last try ended. How those before it did, which count, too, is not kept: a storage may have been away. */
export function triedInVain({ attempt }: Pick<Lease, "attempt">): string {
  return `it was tried ${attempt - 1} times, and the last worker was ended before it was done`;
}
