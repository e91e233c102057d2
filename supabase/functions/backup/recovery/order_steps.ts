/**
 * In which order the steps of a plan are run, and which may be run.
 *
 * @module
 */
import type { RecoveryStep, StepStatus } from "../core/recovery.ts";

/** What the order goes by. */
export type Ordered = Pick<RecoveryStep, "id" | "order" | "dependencies">;

/**
 * Every step behind those that it depends on; among those that are ready, by `order`, then as listed. Steps of
 * a cycle, and those behind it, are left out.
 *
 * @example
 * ```ts
 * const step = (id: string, order: number, dependencies: string[]) => ({ id, order, dependencies });
 * orderSteps([step("b", 1, ["a"]), step("a", 2, [])]).map(({ id }) => id); // ["a", "b"]
 * ```
 */
export function orderSteps<S extends Ordered>(steps: readonly S[]): S[] {
  const left = steps.map((step, place) => ({ step, place }))
    .sort((a, b) => a.step.order - b.step.order || a.place - b.place);
  const done = new Set<string>();
  const ordered: S[] = [];
  for (;;) {
    const next = left.findIndex(({ step }) => step.dependencies.every((id) => done.has(id)));
    const [found] = next < 0 ? [] : left.splice(next, 1);
    if (found === undefined) return ordered;
    done.add(found.step.id);
    ordered.push(found.step);
  }
}

/** The ids along a cycle, the first one again at the end; null when there is none. */
export function findCycle(steps: readonly Ordered[]): string[] | null {
  const runnable = new Set(orderSteps(steps).map(({ id }) => id));
  const stuck = new Map(steps.filter(({ id }) => !runnable.has(id)).map((step) => [step.id, step]));
  // Whoever is stuck waits for another that is stuck, or for a step that is not there.
  const trail: string[] = [];
  let at = [...stuck.keys()][0];
  while (at !== undefined) {
    const before = trail.indexOf(at);
    if (before >= 0) return [...trail.slice(before), at];
    trail.push(at);
    at = stuck.get(at)?.dependencies.find((id) => stuck.has(id));
  }
  return null;
}

/** The dependencies that stand against a step: they failed, or were not run themselves. */
export function missingFor(
  { dependencies }: Pick<Ordered, "dependencies">,
  statusOf: (id: string) => StepStatus | undefined,
): string[] {
  return dependencies.filter((id) => {
    const status = statusOf(id);
    return status !== "done" && status !== "skipped";
  });
}
