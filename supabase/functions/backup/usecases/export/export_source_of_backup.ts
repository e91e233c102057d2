/**
 * A backup as the source of an export.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { ExportedRows } from "../../core/export_format.ts";
import type { BinaryForm, DataPart, Entry, TableData } from "../../core/model.ts";
import {
  binaryAsTextLines,
  checkedTextLines,
  type ExportSource,
  isOfThisRelease,
  readBinaryRows,
} from "../../dump/mod.ts";
import type { Repository } from "../../repository/mod.ts";

/**
 * Opens a backup for an export.
 *
 * @param id of the backup, or `latest`
 * @throws {BackupError} `backup_not_found`, `object_*`, `storage_*`
 */
export async function exportSourceOfBackup(
  repository: Repository,
  id: string,
): Promise<ExportSource & { backupId: string }> {
  const { record, manifest } = await repository.readBackup(id);
  const entries: Entry[] = [];
  for await (const entry of repository.readLines<Entry>(manifest.entries)) entries.push(entry);
  const tableData = new Map<string, TableData>();
  for await (const data of repository.readLines<TableData>(manifest.tableData)) {
    tableData.set(data.entry, data);
  }
  const parts = new Map<string, DataPart[]>();
  for await (const part of repository.readLines<DataPart>(manifest.dataParts)) {
    const list = parts.get(part.entry);
    if (list === undefined) parts.set(part.entry, [part]);
    else list.push(part);
  }
  const stored = (entry: Entry) => ({
    data: tableData.get(entry.key)!,
    parts: (parts.get(entry.key) ?? []).filter((part) => part.rawBytes > 0),
  });
  return {
    backupId: record.backupId,
    facts: manifest.source,
    of: `Backup ${record.backupId}`,
    at: manifest.consistency.snapshotAt,
    entries,
    tableData,
    async copyText(entry, take) {
      const { data, parts } = stored(entry);
      for (const part of parts) {
        const bytes = repository.readPieces(part.pieces);
        const lines = part.format === "text"
          ? checkedTextLines(bytes)
          : binaryAsTextLines(bytes, formsOf(data));
        for await (const slice of lines) await take(slice);
      }
      return rowsOf(data, parts);
    },
    async copyPages(entry, take) {
      const { data, parts } = stored(entry);
      for (const part of parts) {
        const pages = readBinaryRows(repository.readPieces(part.pieces), formsOf(data));
        for await (const page of pages) await take(page);
      }
      return rowsOf(data, parts);
    },
  };
}

/** The sum only where it is as an import would make it: older backups have other hashes. */
function rowsOf(data: TableData, parts: readonly DataPart[]): ExportedRows {
  let rows = 0n;
  let sum: bigint | null = isOfThisRelease(data.fingerprintExpression) ? 0n : null;
  for (const { rows: count, fingerprint } of parts) {
    rows += BigInt(count);
    sum = sum === null || fingerprint === null ? null : sum + BigInt(fingerprint.sum);
  }
  return { rows: String(rows), sum: sum === null ? null : String(sum) };
}

function formsOf(data: TableData): readonly BinaryForm[] {
  if (data.columnForms !== undefined) return data.columnForms;
  throw new BackupError("unsupported_object", `Cannot export ${data.entry}: its form is unknown`);
}
