/**
 * The record of a step, as it grows from turn to turn.
 *
 * @module
 */
import type { StepRecord } from "../core/recovery.ts";
import type { Turn } from "./run_turn.ts";
import type { StepEnd } from "./step.ts";

/** Longest details of a step, in characters of JSON: reports are no place for lists of everything. */
const MAX_DETAILS = 200_000;

/** The record of a step, with what its turns say. */
export function recordOf(
  blank: StepRecord,
  turn: Turn,
  words: Partial<StepRecord>,
): StepRecord {
  const { startedAt, failures, waiting } = turn;
  const tries = words.status === "failed" ? failures : failures + 1;
  return { ...blank, startedAt, tries, jobId: waiting?.jobId ?? null, ...words };
}

/** How a step ended, for its record. */
export function wordsOf({ state, found, details, byHand }: StepEnd): Partial<StepRecord> {
  const isLong = JSON.stringify(details).length > MAX_DETAILS;
  return { status: state, found, details: isLong ? { tooLong: true } : details, byHand };
}

/** The record at its end. */
export function finished(record: StepRecord, at: Date): StepRecord {
  const { startedAt } = record;
  const durationMs = startedAt === null ? null : Math.max(0, at.getTime() - Date.parse(startedAt));
  return { ...record, completedAt: at.toISOString(), durationMs };
}

/** The step and its end for the steps behind it; none unless it was done or not needed. */
export function endsWell(
  { stepId, status, found, details, byHand }: StepRecord,
): [string, StepEnd][] {
  if (status !== "done" && status !== "skipped") return [];
  return [[stepId, { state: status, found: found ?? "", details, byHand }]];
}
