/**
 * Reads single lines of a backup: a worker of a restore knows by number which ones it needs.
 *
 * @module
 */
import type { DataPart, Entry, SourceFacts, TableData } from "../../core/model.ts";
import { pickLines, type Repository } from "../../repository/mod.ts";
import type { BackupFacts, BackupLines } from "../../restore/mod.ts";

/** A backup whose lines are read when they are asked for. */
export interface OpenedLines extends BackupLines {
  source: SourceFacts;
  /** How many entries it has. */
  count: number;
}

/** Opens a backup's manifest; chunks without any of the lines that are asked for are not read. */
export async function openLines(repository: Repository, backupId: string): Promise<OpenedLines> {
  const { manifest } = await repository.readBackup(backupId);
  return {
    source: manifest.source,
    count: manifest.entries.lines,
    entries: (numbers) => pickLines<Entry>(repository, { ref: manifest.entries, numbers }),
    tableData: (numbers) => pickLines<TableData>(repository, { ref: manifest.tableData, numbers }),
    dataParts: (numbers) => pickLines<DataPart>(repository, { ref: manifest.dataParts, numbers }),
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
