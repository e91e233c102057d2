/**
 * Progress for people: a bar on a terminal, a line every ten percent elsewhere. It goes to standard
 * error, so that the output stays clean.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import type { Progress, ProgressListener } from "../../supabase/functions/backup/core/progress.ts";

const BAR_WIDTH = 30;
const encoder = new TextEncoder();

/**
 * A listener to hand to a use-case; call `end` before anything else is printed.
 *
 * @param note what to say first, if anything
 */
export function showProgress(
  json: boolean,
  note: string | null = null,
): { listener: ProgressListener; end: () => void } {
  if (json) return { listener: () => {}, end: () => {} };
  if (note !== null) console.error(`note: ${note}`);
  return Deno.stderr.isTerminal() ? bar() : lines();
}

function bar() {
  let last = "";
  const draw = (text: string) => {
    if (text === last) return;
    last = text;
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text}`));
  };
  return {
    listener: (progress: Progress) => {
      const filled = Math.round(shareOf(progress) * BAR_WIDTH);
      const picture = "█".repeat(filled).padEnd(BAR_WIDTH, "░");
      draw(`${picture} ${describe(progress)}`);
    },
    end: () => draw(""),
  };
}

function lines() {
  let said = "";
  return {
    listener: (progress: Progress) => {
      const tenth = Math.floor(shareOf(progress) * 10);
      const now = `${progress.phase} ${tenth}`;
      if (now === said) return;
      said = now;
      console.error(describe(progress));
    },
    end: () => {},
  };
}

function shareOf({ partsDone, partsTotal }: Progress): number {
  return partsTotal === 0 ? 0 : Math.min(1, partsDone / partsTotal);
}

function describe(progress: Progress): string {
  const parts = progress.partsTotal === 0 ? "" : `, ${progress.partsDone}/${progress.partsTotal}`;
  const bytes = progress.bytesDone === 0 ? "" : `, ${formatBytes(progress.bytesDone)}`;
  const { bytesPerSecond, secondsLeft } = progress;
  const rate = bytesPerSecond ? `, ${formatBytes(bytesPerSecond)}/s` : "";
  const left = secondsLeft ? `, about ${formatSeconds(secondsLeft)} left` : "";
  return progress.phase + parts + bytes + rate + left;
}

/** `45 s`, `12 min` or `3 h 20 min`. */
function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `1.5 MB`, in powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
