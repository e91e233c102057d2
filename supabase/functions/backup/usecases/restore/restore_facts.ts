/**
 * What every restore reads first, of the backup and of the target.
 *
 * @module
 */
import type { DataPart, Entry, EntryKind, TableData } from "../../core/model.ts";
import { type CatalogSlice, type DumpOptions, readDatabase, readSlice } from "../../dump/mod.ts";
import type { Session } from "../../postgres/session.ts";
import type { Repository } from "../../repository/mod.ts";
import {
  type BackupFacts,
  borrowRoles,
  inWordsOf,
  ownersToBorrow,
  type ReadAsOwners,
  readTargetFacts,
  readUnwritableTables,
  type TargetFacts,
} from "../../restore/mod.ts";

/** Everything that the planner knows of a backup, read from its manifest. */
export async function readBackupFacts(
  repository: Repository,
  backupId: string,
): Promise<BackupFacts> {
  const { manifest } = await repository.readBackup(backupId);
  return {
    backupId: manifest.backupId,
    source: manifest.source,
    entries: await Array.fromAsync(repository.readLines<Entry>(manifest.entries)),
    tableData: await Array.fromAsync(repository.readLines<TableData>(manifest.tableData)),
    dataParts: await Array.fromAsync(repository.readLines<DataPart>(manifest.dataParts)),
  };
}

/** The target as it is now. */
export async function readTarget(session: Session, backup: BackupFacts): Promise<TargetFacts> {
  return await readTargetFacts(session, await readAsOwners(session, backup), backup);
}

/** In a transaction of the caller the roles are borrowed already; here they are for the reading only. */
async function readAsOwners(session: Session, backup: BackupFacts): Promise<ReadAsOwners> {
  const read = async () => ({
    entries: await readLive(session, backup),
    unwritableTables: await readUnwritableTables(session),
  });
  const owners = session.inTransaction ? [] : await ownersToBorrow(session);
  if (owners.length === 0) return await read();
  await session.execute("BEGIN");
  try {
    await borrowRoles(session, owners);
    return await read();
  } finally {
    await session.execute("ROLLBACK");
  }
}

/** The whole target, read as the backup's source was and told in the backup's words. */
export async function readLive(session: Session, backup: BackupFacts): Promise<Entry[]> {
  const { entries } = await readDatabase(session, wholeDatabase(backup));
  return await inBackupsWords(session, backup, entries);
}

async function inBackupsWords(
  session: Session,
  backup: BackupFacts,
  actual: Entry[],
): Promise<Entry[]> {
  const whole = wholeDatabase(backup);
  return await inWordsOf({
    backup: backup.entries,
    actual,
    session,
    readSchemas: async (reader, includeSchemas) =>
      (await readDatabase(reader, { ...whole, includeSchemas: [...includeSchemas] })).entries,
  });
}

/** Parts of tables, views and domains that an order may have taken out of them. */
const PARTS: readonly EntryKind[] = ["check-constraint", "default", "domain-constraint", "rule"];

/** A slice of the target as {@linkcode readLive} reads the whole; what entries depend on is not told. */
export async function readLiveSlice(
  session: Session,
  backup: BackupFacts,
  slice: CatalogSlice,
): Promise<Entry[]> {
  const parts = backup.entries.filter(({ kind }) => PARTS.includes(kind));
  const standAlone = new Set(parts.map(({ identity }) => identity));
  const { lines } = await readSlice(session, wholeDatabase(backup), { slice, standAlone });
  return await inBackupsWords(session, backup, lines.map(([entry]) => entry));
}

/** Options that read all of a database, as the backup's source was read. */
export function wholeDatabase(backup: BackupFacts): DumpOptions {
  return {
    profile: backup.source.profile,
    includeSchemas: [],
    excludeSchemas: [],
    includeTables: [],
    excludeTables: [],
    excludeTableData: [],
    copyFormat: "auto",
  };
}
