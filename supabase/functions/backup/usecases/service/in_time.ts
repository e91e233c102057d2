/**
 * Waiting that has an end, for what somebody waits for who asked how things are.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { unlessAborted } from "../../core/unless_aborted.ts";

/** What is waited for, by the code of its not answering. */
const SOURCES = {
  storage: "storage_unreachable",
  database: "database_unreachable",
} as const;

/** Where to look when it does not answer. */
const HINTS = {
  storage: undefined,
  database: "pg_stat_activity and pg_locks name who holds the service's tables.",
} as const;

/**
 * Gives up after so many ms; what is under way then goes on unheard.
 *
 * @param patienceMs undefined: waits as long as it takes
 * @throws `storage_unreachable`, `database_unreachable` when it has not come by then
 */
export async function inTime<T>(
  source: keyof typeof SOURCES,
  patienceMs: number | undefined,
  coming: Promise<T>,
): Promise<T> {
  if (patienceMs === undefined) return await coming;
  const patience = new AbortController();
  const timer = setTimeout(() => {
    const message = `Cannot read the ${source}: it did not answer in ${patienceMs / 1000} s`;
    const hint = HINTS[source];
    patience.abort(
      new BackupError(SOURCES[source], message, hint === undefined ? {} : { hint }),
    );
  }, patienceMs);
  try {
    return await unlessAborted(coming, patience.signal);
  } finally {
    clearTimeout(timer);
  }
}
