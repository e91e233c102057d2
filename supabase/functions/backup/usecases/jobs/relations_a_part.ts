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

/**
 * Relations that a program without limits reads at once. With their keys, indexes and rows they take some 20 kB
 * each while they are read; where there are more they are read slice by slice, which takes a third more CPU time.
 */
export const RELATIONS_AT_ONCE = 6000;

/** Entries of a backup that such a program holds as they are; of more it holds most packed. */
export const ENTRIES_AT_ONCE = 40_000;

/**
 * Up to so many a backup by such a program reads at once all the same: it holds nothing else, and rows are copied
 * meanwhile. 5,000 tables with a sequence each need 350 MB, and slices of them nearly twice the time.
 */
export const RELATIONS_OF_A_BACKUP = 12_000;

/** Relations that such a program compares at a time when there are more, beside all that it holds of the backup. */
export const RELATIONS_A_SLICE = 2000;

/** Relations that one part reads; null where nothing ends a worker for its CPU time: it reads all of them. */
export function relationsAPart(
  settings: Settings,
  { environment }: Pick<Deps, "environment">,
): number | null {
  const { cpuMs } = workerLimits(settings, { hosted: environment.edgeRuntime });
  return cpuMs === null ? null : RELATIONS_A_PART;
}
