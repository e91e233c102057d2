/**
 * Results as a Markdown table: each figure with its peer beside it and the ratio.
 *
 * @module
 */
import type { Contestant } from "./contestants.ts";
import type { Measured } from "./run_measured.ts";

/** Medians of one contestant. */
export interface Result extends Measured {
  contestant: Contestant;
  /** Bytes that a backup left; null for a restore. */
  storedBytes: number | null;
  /** Seconds of a backup without those that it needs with no rows; null for a restore. */
  copySeconds: number | null;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? NaN;
  const high = sorted[Math.floor(middle)] ?? NaN;
  return (low + high) / 2;
}

/** A table. @param bytes what was copied, for the costs per gigabyte */
export function resultTable(title: string, results: readonly Result[], bytes: number): string {
  const perGigabyte = (seconds: number) => (seconds / (bytes / 1e9)).toFixed(1);
  const rows = results.map((result) => {
    const peers = result.contestant.peers.flatMap((name) => {
      const peer = results.find(({ contestant }) => contestant.name === name);
      return peer === undefined ? [] : [ratio(peer, result)];
    });
    return [
      result.contestant.name,
      result.seconds.toFixed(2),
      result.copySeconds?.toFixed(2) ?? "",
      peers.join(", "),
      perGigabyte(result.cpuSeconds),
      perGigabyte(result.serverCpuSeconds),
      (result.peakBytes / 1e6).toFixed(0),
      result.storedBytes === null ? "" : (result.storedBytes / 1e6).toFixed(1),
    ];
  });
  const head = [
    ...["program", "seconds", "of them copying", "times as fast as", "CPU-s per GB"],
    ...["server CPU-s per GB", "peak MB", "stored MB"],
  ];
  return markdown(title, [head, ...rows]);
}

/** A table of programs that save definitions only; the last one is what the others are compared with. */
export function schemaTable(title: string, results: readonly Result[]): string {
  const peer = results.at(-1)!;
  const head = [
    ...["program", "seconds", `times those of ${peer.contestant.name}`, "CPU-s", "server CPU-s"],
    ...["peak MB", "stored MB"],
  ];
  const rows = results.map((result) => [
    result.contestant.name,
    result.seconds.toFixed(2),
    result === peer ? "" : (result.seconds / peer.seconds).toFixed(2),
    result.cpuSeconds.toFixed(2),
    result.serverCpuSeconds.toFixed(2),
    (result.peakBytes / 1e6).toFixed(0),
    ((result.storedBytes ?? 0) / 1e6).toFixed(2),
  ]);
  return markdown(title, [head, ...rows]);
}

function markdown(title: string, [head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [`**${title}**`, "", line(head), line(head.map(() => "---")), ...rows.map(line)].join(
    "\n",
  );
}

function ratio(peer: Result, result: Result): string {
  const codec = peer.contestant.name.split(" ").at(-1);
  const total = `${codec} ${(peer.seconds / result.seconds).toFixed(2)}`;
  if (peer.copySeconds === null || result.copySeconds === null) return total;
  return `${total} (copying ${(peer.copySeconds / result.copySeconds).toFixed(2)})`;
}
