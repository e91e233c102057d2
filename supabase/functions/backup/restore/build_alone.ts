/**
 * How many processes of the server build one index.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";

/** Raw bytes of a table's rows from which further processes make its indexes noticeably sooner. */
const PARALLEL_BYTES = 1 << 30;

/**
 * Lets each session build its indexes alone, unless a table is so large that the server's own setting is better.
 * The sessions are as many as there are cores to use. Further processes of each would take a core from
 * another, and they sort through files what a session alone sorts in memory: for 2.7 million rows a sixth to a
 * fifth more CPU.
 *
 * @param bytes raw bytes of rows by table
 */
export async function buildAlone(
  sessions: readonly Session[],
  bytes: ReadonlyMap<string, number>,
): Promise<void> {
  for (const each of bytes.values()) if (each >= PARALLEL_BYTES) return;
  for (const session of sessions) {
    await session.execute("SET max_parallel_maintenance_workers = 0");
  }
}
