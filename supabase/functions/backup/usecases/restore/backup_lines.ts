/**
 * Reads single lines of a backup: a worker of a restore knows by number which ones it needs.
 *
 * @module
 */
import type { DataPart, Entry, SourceFacts, TableData } from "../../core/model.ts";
import { type LinesRef, mapConcurrent, type Repository } from "../../repository/mod.ts";
import type { BackupFacts, BackupLines } from "../../restore/mod.ts";

/** A backup whose lines are read when they are asked for. */
export interface OpenedLines extends BackupLines {
  source: SourceFacts;
  /** How many entries it has. */
  count: number;
}

/** Chunks that are read at a time. */
const CONCURRENCY = 4;

/** Opens a backup's manifest; chunks without any of the lines that are asked for are not read. */
export async function openLines(repository: Repository, backupId: string): Promise<OpenedLines> {
  const { manifest } = await repository.readBackup(backupId);
  return {
    source: manifest.source,
    count: manifest.entries.lines,
    entries: (lines) => pick<Entry>(repository, manifest.entries, lines),
    tableData: (lines) => pick<TableData>(repository, manifest.tableData, lines),
    dataParts: (lines) => pick<DataPart>(repository, manifest.dataParts, lines),
  };
}

/** The same of a backup that was read as a whole, where memory is no matter. */
export function heldLines({ source, entries, tableData, dataParts }: BackupFacts): OpenedLines {
  const of = <T>(list: readonly T[]) => (lines: readonly number[]) =>
    Promise.resolve(new Map(lines.map((line) => [line, list[line]!])));
  return {
    ...{ source, count: entries.length },
    ...{ entries: of(entries), tableData: of(tableData), dataParts: of(dataParts) },
  };
}

async function pick<T>(
  repository: Repository,
  ref: LinesRef,
  lines: readonly number[],
): Promise<Map<number, T>> {
  const wanted = new Uint8Array(ref.lines);
  for (const line of lines) wanted[line] = 1;
  const chunks: { first: number; chunk: LinesRef["chunks"][number] }[] = [];
  let first = 0;
  for (const chunk of ref.chunks) {
    if (wanted.subarray(first, first + chunk.lines).includes(1)) chunks.push({ first, chunk });
    first += chunk.lines;
  }
  const found = new Map<number, T>();
  await mapConcurrent(chunks, CONCURRENCY, async ({ first, chunk }) => {
    let line = first;
    for await (const value of repository.readLines<T>({ lines: chunk.lines, chunks: [chunk] })) {
      if (wanted[line] === 1) found.set(line, value);
      line++;
    }
  });
  return found;
}
