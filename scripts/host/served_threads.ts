/**
 * How many threads a served process has, and by how many connections it moves rows if nothing is said.
 *
 * @module
 */
import { DEFAULT_SETTINGS } from "../../supabase/functions/backup/core/settings_schema.ts";

/** More connections than these cannot be set. */
const MOST_THREADS = 16;

/** Threads of each kind: one to a processor, as far as each of them may have a connection. */
export function servedThreads(processors = navigator.hardwareConcurrency): number {
  return Math.min(processors, MOST_THREADS);
}

/** With fewer connections than threads some would have nothing to do. */
export function servedConnections(processors = navigator.hardwareConcurrency): number {
  return Math.max(servedThreads(processors), DEFAULT_SETTINGS.databaseConnections);
}
