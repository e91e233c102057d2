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

/** A part takes about as long as so many bytes, however little it moves. */
const BYTES_OF_A_PART = 1 << 20;

/** Counts as a report, with what follows from them. */
export function progressOf(counts: ProgressCounts): Progress {
  const { phase, parts, partsDone, bytes, bytesDone, seconds } = counts;
  const bytesPerSecond = seconds > 0 && bytesDone > 0 ? Math.round(bytesDone / seconds) : null;
  const bytesTotal = bytes === 0 ? null : Math.max(bytes, bytesDone);
  const isKnown = bytesPerSecond !== null && bytesTotal !== null;
  const secondsLeft = isKnown ? Math.ceil(seconds * (1 / shareDone(counts, bytesTotal) - 1)) : null;
  const rate = { bytesPerSecond, secondsLeft };
  return { phase, partsDone, partsTotal: parts, bytesDone, bytesTotal, ...rate };
}

/** Of all work; of parts that are not done yet what their bytes tell. */
function shareDone({ parts, partsDone, bytesDone }: ProgressCounts, bytesTotal: number): number {
  const partsWorth = Math.max(partsDone, parts * bytesDone / bytesTotal);
  const done = bytesDone + partsWorth * BYTES_OF_A_PART;
  return done / (bytesTotal + parts * BYTES_OF_A_PART);
}
