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

/** @throws `over_budget` when as many workers as were to try it were ended before they were done */
export function refuseWithoutRoom(
  { attempt, previous }: Pick<Lease, "attempt" | "previous">,
  { doing, hint, details = {} }: Undoable,
): void {
  if (previous !== "interrupted" || attempt <= ROOM_ATTEMPTS) return;
  throw new BackupError(
    "over_budget",
    `Cannot ${doing}: ${attempt - 1} workers were ended before they were done`,
    { hint, details },
  );
}
