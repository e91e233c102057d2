/**
 * Tells a part whose size was misjudged from one whose worker ended for reasons of its own.
 *
 * @module
 */
import type { Lease } from "../../core/part.ts";

/** Whether the tries before say that no worker has room for so much: then it is done in smaller ones. */
export function wasTooLarge({ attempt, previous }: Pick<Lease, "attempt" | "previous">): boolean {
  return previous === "over_budget" || (previous === "interrupted" && attempt > 2);
}
