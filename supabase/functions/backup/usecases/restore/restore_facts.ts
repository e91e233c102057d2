/**
 * What every restore reads first, of the backup and of the target.
 *
 * @module
 */
import {
  type DataPart,
  type Entry,
  PARTS_THAT_STAND_ALONE,
  type SourceFacts,
  type TableData,
} from "../../core/model.ts";
import {
  type CatalogSlice,
  cutCatalog,
  type DumpOptions,
  readDatabase,
  readEntries,
  readSlice,
} from "../../dump/mod.ts";
import { EntryPacker } from "../../core/packed_entries.ts";
import type { Session } from "../../postgres/session.ts";
import type { LinesRef, Repository } from "../../repository/mod.ts";
import {
  type BackupFacts,
  borrowRoles,
  differingInPrint,
  EntryIndex,
  HashedNames,
  inWordsOf,
  type LineHashes,
  linesInOtherWords,
  type LiveEntries,
  ownersToBorrow,
  type ReadAsOwners,
  readTargetFacts,
  readUnwritableTables,
  type TargetFacts,
} from "../../restore/mod.ts";
import { ENTRIES_AT_ONCE, RELATIONS_AT_ONCE } from "../jobs/relations_a_part.ts";
import type { OpenedLines } from "./backup_lines.ts";

/** Which backup {@linkcode readBackupFacts} reads, and how it holds it. */
export interface ReadBackupOptions {
  repository: Repository;
  backupId: string;
  /** Entries up to which they are held as they are; of more most is packed. @default {@linkcode ENTRIES_AT_ONCE} */
  entriesAtOnce?: number;
}

/** Everything that the planner knows of a backup, read from its manifest; of very many entries packed. */
export async function readBackupFacts(
  { repository, backupId, entriesAtOnce = ENTRIES_AT_ONCE }: ReadBackupOptions,
): Promise<BackupFacts> {
  const { manifest: { source, entries, tableData, dataParts, ...manifest } } = await repository
    .readBackup(backupId);
  const packer = entries.lines > entriesAtOnce ? new EntryPacker() : null;
  const read = <T>(lines: LinesRef, pack: (value: T) => T) =>
    Array.fromAsync(
      repository.readLines<T>(lines),
      (value) => packer === null ? value : pack(value),
    );
  return {
    ...{ backupId: manifest.backupId, source },
    entries: await read<Entry>(entries, (entry) => packer!.entry(entry)),
    tableData: await read<TableData>(tableData, (data) => packer!.tableData(data)),
    dataParts: await read<DataPart>(dataParts, (part) => packer!.dataPart(part)),
  };
}

/** The target as it is now. */
export async function readTarget(session: Session, backup: BackupFacts): Promise<TargetFacts> {
  const readAsOwners = await asOwners(session, async (): Promise<ReadAsOwners> => ({
    entries: await readLive(session, backup),
    unwritableTables: await readUnwritableTables(session),
  }));
  return await readTargetFacts(session, readAsOwners, backup);
}

/** Some of a target, or all of it with what its entries depend on. */
export interface TargetByLines {
  lines: OpenedLines;
  hashes: LineHashes;
  slice: CatalogSlice | null;
}

/** A target of very many objects, beside a backup of which only what it says in other words is read. */
export async function readTargetByLines(
  session: Session,
  { lines, hashes, slice }: TargetByLines,
): Promise<ReadAsOwners> {
  return await asOwners(session, async () => {
    const options = wholeDatabase(lines);
    const actual = slice === null
      ? (await readDatabase(session, options)).entries
      : await readAlike(session, { lines, hashes, slice });
    const differing = [...(await lines.entries(linesInOtherWords(actual, hashes))).values()];
    const keys = new Set(differing.flatMap(({ dependsOn }) => dependsOn));
    for (const { key } of differing) keys.delete(key);
    const needed = await lines.entries(HashedNames.ofHashes(hashes.keys).find(keys));
    const words = [...differing, ...[...needed.values()].filter(({ key }) => keys.has(key))];
    return {
      entries: await inBackupsWords(session, { source: lines.source, entries: words }, actual),
      unwritableTables: slice?.isRest === false ? [] : await readUnwritableTables(session),
    };
  });
}

/** A slice, in which stands alone what does in the backup. */
async function readAlike(
  session: Session,
  { lines, hashes, slice }: TargetByLines & { slice: CatalogSlice },
): Promise<Entry[]> {
  const alone = [...(await lines.entries(hashes.alone)).values()];
  const standAlone = new Set(alone.map(({ identity }) => identity));
  const read = await readSlice(session, wholeDatabase(lines), { slice, standAlone });
  return read.lines.map(([entry]) => entry);
}

/** In a transaction of the caller the roles are borrowed already; here they are for the reading only. */
export async function asOwners<T>(session: Session, read: () => Promise<T>): Promise<T> {
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

/** What reading a target needs of a backup. */
type BackupWords = Pick<BackupFacts, "source" | "entries">;

/** The whole target, read as the backup's source was and told in the backup's words. */
export async function readLive(session: Session, backup: BackupWords): Promise<Entry[]> {
  const limits = { relationsAtOnce: RELATIONS_AT_ONCE };
  const entries = await readEntries(session, wholeDatabase(backup), limits);
  return await inBackupsWords(session, backup, entries);
}

/** The same slice by slice where it holds very many relations; what entries depend on is not told then. */
export async function* readLiveSlices(
  session: Session,
  backup: BackupWords,
  { relationsAtOnce, relationsASlice }: { relationsAtOnce: number; relationsASlice: number },
): AsyncIterable<LiveEntries> {
  const whole = wholeDatabase(backup);
  if ((await cutCatalog(session, whole, relationsAtOnce)).length === 0) {
    yield { actual: await readLive(session, backup), isRest: true };
    return;
  }
  const slices = await cutCatalog(session, whole, relationsASlice);
  const parts = backup.entries.filter(({ kind }) => PARTS_THAT_STAND_ALONE.includes(kind));
  const standAlone = new Set(parts.map(({ identity }) => identity));
  for (const slice of slices) {
    const { lines } = await readSlice(session, whole, { slice, standAlone });
    const entries = lines.map(([entry]) => entry);
    const actual = await inBackupsWords(session, backup, entries);
    yield { actual, isRest: slice.isRest };
  }
}

async function inBackupsWords(
  session: Session,
  backup: BackupWords,
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

/** A slice of a target, and how to find what a backup says of it. */
export interface LiveSlice {
  source: SourceFacts;
  slice: CatalogSlice;
  /** Entries of the backup for parts of tables, views and domains: they stand alone in the target too. */
  standAlone: readonly Entry[];
  /** Entries of the backup with the identities of these, by some number. */
  inBackup(entries: readonly Entry[]): Promise<Map<number, Entry>>;
  /** Entries of the backup that these depend on. */
  neededBy(entries: readonly Entry[]): Promise<Entry[]>;
}

/** A slice of the target as {@linkcode readLive} reads the whole; what entries depend on is not told. */
export async function readLiveSlice(
  session: Session,
  { source, slice, standAlone: parts, ...backup }: LiveSlice,
): Promise<{ entries: Entry[]; inBackup: Map<number, Entry> }> {
  const standAlone = new Set(parts.map(({ identity }) => identity));
  const { lines } = await readSlice(session, wholeDatabase({ source }), { slice, standAlone });
  const actual = lines.map(([entry]) => entry);
  const inBackup = await backup.inBackup(actual);
  const known = [...inBackup.values()];
  const keys = new Set(known.map(({ key }) => key));
  const needed = await backup.neededBy(differingInPrint(known, new EntryIndex(actual)));
  const words = [...known, ...needed.filter(({ key }) => !keys.has(key))];
  const entries = await inBackupsWords(session, { source, entries: words }, actual);
  return { entries, inBackup };
}

/** Options that read all of a database, as the backup's source was read. */
export function wholeDatabase({ source }: Pick<BackupFacts, "source">): DumpOptions {
  return {
    profile: source.profile,
    includeSchemas: [],
    excludeSchemas: [],
    includeTables: [],
    excludeTables: [],
    excludeTableData: [],
    copyFormat: "auto",
  };
}
