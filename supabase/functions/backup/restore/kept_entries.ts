/**
 * Entries of a backup as the numbers of their lines, so that what a plan says can be kept in few bytes and
 * a worker reads only what it needs.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";

/** Lines that follow each other: the number of the first one, and how many there are. */
export type Run = readonly [first: number, count: number];

/** An entry that the plan says otherwise than its line. */
export interface ChangedEntry {
  line: number;
  changes: Partial<Entry>;
}

/** Entries in an order of their own; those that the backup does not have as they are. Survives JSON. */
export type KeptEntries = (Run | ChangedEntry | { entry: Entry })[];

/** Numbers as runs, in their order. */
export function runsOf(lines: Iterable<number>): Run[] {
  const runs: [number, number][] = [];
  for (const line of lines) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === line) last[1]++;
    else runs.push([line, 1]);
  }
  return runs;
}

/** The numbers again. */
export function linesOf(runs: readonly Run[]): number[] {
  return runs.flatMap(([first, count]) => Array.from({ length: count }, (_, at) => first + at));
}

/** @param lineOf the line of the backup that an entry comes from, and what it says */
export function keepEntries(
  entries: Iterable<Entry>,
  lineOf: (entry: Entry) => { line: number; entry: Entry } | undefined,
): KeptEntries {
  const kept: (ChangedEntry | { entry: Entry } | [number, number])[] = [];
  for (const entry of entries) {
    const stored = lineOf(entry);
    if (stored === undefined) {
      kept.push({ entry });
      continue;
    }
    const { line } = stored;
    const changes = changesOf(stored.entry, entry);
    const last = kept.at(-1);
    if (changes !== null) kept.push({ line, changes });
    else if (Array.isArray(last) && last[0] + last[1] === line) last[1]++;
    else kept.push([line, 1]);
  }
  return kept;
}

function changesOf(stored: Entry, planned: Entry): Partial<Entry> | null {
  if (stored === planned) return null;
  const changed = (Object.keys(planned) as (keyof Entry)[]).filter((name) =>
    planned[name] !== stored[name]
  );
  if (changed.length === 0) return null;
  return Object.fromEntries(changed.map((name) => [name, planned[name]]));
}

/** Which lines have to be read for these entries. */
export function linesToRead(kept: KeptEntries): number[] {
  return kept.flatMap((each) => isRun(each) ? linesOf([each]) : "line" in each ? [each.line] : []);
}

/** The entries as the plan says them. */
export function plannedEntries(kept: KeptEntries, lines: ReadonlyMap<number, Entry>): Entry[] {
  return kept.flatMap((each): Entry[] => {
    if (isRun(each)) return linesOf([each]).map((line) => lines.get(line)!);
    return ["line" in each ? { ...lines.get(each.line)!, ...each.changes } : each.entry];
  });
}

function isRun(each: KeptEntries[number]): each is Run {
  return Array.isArray(each);
}
