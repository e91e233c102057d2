/**
 * Whether what a backup saves is half restored: it lacks what the restore had not made by then.
 *
 * @module
 */
import type { Consistency } from "../../core/model.ts";
import type { HeldSnapshot } from "../../dump/mod.ts";
import {
  readUnfinishedRestores,
  type RestoreTrace,
  traceInWords,
} from "../../postgres/restore_traces.ts";
import type { JoinedSessions } from "./joined_sessions.ts";

/** The restore that was not complete at the backup's moment; null when there was none. */
export async function findUnfinished(
  sessions: JoinedSessions,
  { held, signal }: { held: HeldSnapshot; signal: AbortSignal },
): Promise<RestoreTrace | null> {
  const read = () =>
    sessions.with(held, (session) => readUnfinishedRestores((sql) => session.query(sql)), {
      signal,
    });
  return (await read())[0] ?? null;
}

/** What the manifest says of it. */
export function halfRestored(
  trace: RestoreTrace | null,
): { remarks: string[]; facts: Pick<Consistency, "unfinishedRestore"> } {
  if (trace === null) return { remarks: [], facts: {} };
  const { jobId, backupId, since } = trace;
  return {
    remarks: [`what is saved is half restored: ${traceInWords(trace)}`],
    facts: { unfinishedRestore: { jobId, backupId, since } },
  };
}
