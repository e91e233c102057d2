/**
 * How far a piece of work is, told to whoever listens.
 *
 * @module
 */

/** A report of progress; counts only ever grow. */
export interface Progress {
  /** What is being done now, such as `copying public.orders`. */
  phase: string;
  partsDone: number;
  partsTotal: number;
  bytesDone: number;
  /** Estimate; null while unknown. */
  bytesTotal: number | null;
  /** Since the first bytes moved; null while nothing is known of it. */
  bytesPerSecond?: number | null;
  /** Estimate; null while unknown. */
  secondsLeft?: number | null;
}

/** Receives reports; must not throw. */
export type ProgressListener = (progress: Progress) => void;

/** What a store counts of a job. */
export interface ProgressCounts {
  phase: string;
  parts: number;
  partsDone: number;
  /** Facts of the parts that are done, estimates of the others. */
  bytes: number;
  bytesDone: number;
  /** Since the first bytes moved. */
  seconds: number;
}

/** Counts as a report, with what follows from them. */
export function progressOf(counts: ProgressCounts): Progress {
  const { phase, parts, partsDone, bytes, bytesDone, seconds } = counts;
  const bytesPerSecond = seconds > 0 && bytesDone > 0 ? Math.round(bytesDone / seconds) : null;
  const bytesTotal = bytes === 0 ? null : Math.max(bytes, bytesDone);
  const secondsLeft = !bytesPerSecond || bytesTotal === null
    ? null
    : Math.ceil((bytesTotal - bytesDone) / bytesPerSecond);
  const rate = { bytesPerSecond, secondsLeft };
  return { phase, partsDone, partsTotal: parts, bytesDone, bytesTotal, ...rate };
}
