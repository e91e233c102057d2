/**
 * Whether a restore into a live database touches nothing that is there: schemas that it lacks are made in
 * parts, as a whole new database is, because nothing of anybody can be left half done.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import type { RestorePlan } from "./plan_types.ts";

/** @param live the target's entries */
export function isAdditive(plan: RestorePlan, live: readonly Entry[]): boolean {
  if (plan.mode !== "over") return false;
  const standing = new Set(live.map((entry) => entry.identity));
  const made = [...plan.create, ...plan.refresh, ...plan.load.map((load) => load.entry)];
  return [plan.drop, plan.adjust, plan.lock, plan.clearOnly].every((list) => list.length === 0) &&
    plan.load.every(({ data, clear }) => data !== null && clear === "none") &&
    !made.some((entry) => standing.has(entry.identity));
}
