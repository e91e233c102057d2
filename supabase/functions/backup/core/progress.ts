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
}

/** Receives reports; must not throw. */
export type ProgressListener = (progress: Progress) => void;
