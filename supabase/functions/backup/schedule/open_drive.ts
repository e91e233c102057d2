/**
 * The drive of a service: its worker by its settings, its calls by its own address.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import type { Environment } from "../core/environment.ts";
import type { BackupError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import type { Settings } from "../core/settings.ts";
import { type Budget, workerLimits } from "../jobs/budget.ts";
import { Drive } from "../jobs/drive.ts";
import type { PartStore } from "../jobs/part_store.ts";
import { runWorker, type RunWorkerOptions } from "../jobs/run_worker.ts";
import type { StateDatabase } from "../state/database.ts";
import { callTick } from "./call_tick.ts";

/**
 * Parts at a time in a function: while one waits for the network another one computes. More would only
 * share the same core and memory.
 */
const PARTS_IN_FUNCTION = 2;

/** What it is made of. */
export interface OpenDriveOptions extends Pick<RunWorkerOptions, "definitionOf" | "observer"> {
  parts: PartStore;
  database: StateDatabase;
  environment: Environment;
  budget: Budget;
  clock: Clock;
  settings: () => Promise<{ settings: Settings }>;
  waitUntil?: (work: Promise<unknown>) => void;
  onError: (error: BackupError, about: string) => void;
}

/** Makes it; it works when it is woken. */
export function openDrive(options: OpenDriveOptions): Drive {
  const { parts, database, environment, budget, clock, definitionOf, onError } = options;
  const observed = options.observer === undefined ? {} : { observer: options.observer };
  const { edgeRuntime } = environment;
  const worker = randomId(16);
  return new Drive({
    store: parts,
    budget,
    clock,
    async work() {
      const { settings } = await options.settings();
      budget.limit(workerLimits(settings, { hosted: edgeRuntime }));
      return await runWorker({
        ...{ store: parts, definitionOf, worker, clock, budget, onError, ...observed },
        concurrency: edgeRuntime ? PARTS_IN_FUNCTION : settings.databaseConnections,
      });
    },
    call: (depth) => callTick({ depth }, { database, environment, clock }),
    maxWorkers: async () => (await options.settings()).settings.maxWorkers,
    ...(options.waitUntil === undefined ? {} : { waitUntil: options.waitUntil }),
    onError: (error) => onError(error, "drive"),
  });
}
