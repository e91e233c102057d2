/**
 * A target that creates what is missing and leaves alone what is there and differs.
 *
 * @module
 */
import type { ItemStep, ItemTarget } from "../core/items.ts";

/** The plan names what would otherwise be replaced as kept, so that nobody takes it for the saved one. */
export function leaveExisting(target: ItemTarget): ItemTarget {
  return {
    plan: async (items, signal) => (await target.plan(items, signal)).map(keep),
    apply: (step, work) => target.apply(step, work),
  };
}

function keep(step: ItemStep): ItemStep {
  if (step.action !== "replace") return step;
  // Hazards are of the change, which is not made.
  const { hazards: _, title, ...rest } = step;
  return { ...rest, action: "keep", title: `left as it is, as asked for; not done: ${title}` };
}
