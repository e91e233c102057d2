/**
 * What a restore that is not complete means for the judgement of a database. Pure.
 *
 * @module
 */
import {
  forgetTrace,
  isOfAll,
  type RestoreChoice,
  type RestoreTrace,
  traceInWords,
} from "../../postgres/restore_traces.ts";
import type { JudgedDatabase } from "./judge_live.ts";

/** A restore that has begun in a database and is not complete. */
export interface UnfinishedRestore {
  jobId: string;
  backupId: string;
  since: string;
  /** Which one it is, and how far it came. */
  found: string;
  /** What it was about; whoever goes on with it is about the same. */
  choice: RestoreChoice;
  /** Whether a restore of the backup that was looked at goes on with it. */
  goesOn: boolean;
  /** The SQL by which a person takes its trace away who knows that the database is well. */
  forget: string;
}

/**
 * A half restored database is damaged, whatever its tables look like: rows tell that they are there, not how
 * many are missing. It is about what that restore was about, and about nothing that is newer.
 *
 * @param at `backupId` of the backup that it was looked at beside
 */
export function judgeUnfinished(
  judged: JudgedDatabase,
  { trace, backupId }: { trace: RestoreTrace; backupId: string },
): JudgedDatabase & { unfinished: UnfinishedRestore } {
  const found = traceInWords(trace);
  const { jobId, since, choice } = trace;
  const goesOn = trace.backupId === backupId;
  const unfinished = {
    ...{ jobId, backupId: trace.backupId, since, found, choice, goesOn },
    forget: forgetTrace(trace),
  };
  if (judged.condition === "unreachable") return { ...judged, unfinished };
  const tables = choice.tables ?? [];
  return {
    ...judged,
    unfinished,
    condition: judged.condition === "empty" ? "empty" : "damaged",
    scope: !goesOn ? judged.scope : isOfAll(choice) ? "database" : "tables",
    findings: [found, ...judged.findings],
    lostTables: goesOn && judged.lostTables.length === 0 ? [...tables] : judged.lostTables,
  };
}
