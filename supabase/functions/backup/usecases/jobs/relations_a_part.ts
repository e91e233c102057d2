/**
 * How many relations' definitions fit into a worker.
 *
 * @module
 */
import type { Settings } from "../../core/settings.ts";
import { workerLimits } from "../../jobs/budget.ts";
import type { Deps } from "../deps.ts";

/** With their columns, indexes and keys, stored, they take a worker less than half of a CPU-second, so that several fit. */
const RELATIONS_A_PART = 1000;

/** Relations that one part reads; null where nothing ends a worker for its CPU time: it reads all of them. */
export function relationsAPart(
  settings: Settings,
  { environment }: Pick<Deps, "environment">,
): number | null {
  const { cpuMs } = workerLimits(settings, { hosted: environment.edgeRuntime });
  return cpuMs === null ? null : RELATIONS_A_PART;
}
