/**
 * Whether the newest backup of a type holds far less than the one before it, or is of another size. Such a
 * backup is good, and may have saved a loss, or a flood; only people can tell.
 *
 * @module
 */
import type { JobType } from "../../core/job.ts";
import { typeOfJobId } from "../../core/ids.ts";
import type { BackupRecord, Repository } from "../../repository/mod.ts";

/**
 * What is left when it is told: less than a half is no everyday life, and the same measure by which a recovery
 * plan looks for a fuller backup.
 */
const SHARE_LEFT = 1 / 2;

/** Smaller ones shrink by half when somebody tidies up. Nothing left at all is told of any size. */
const FEWEST = { rows: 100, rawBytes: 1024 * 1024 };

/** The change of size, either way, from which people are told without alarm. */
const SHARE_CHANGED = 0.2;

/** The two backups, and what the newer one lacks in words. */
export interface Shrunk {
  backupId: string;
  beforeId: string;
  /** Such as `45010 rows, and backup_… before it holds 379515`. */
  found: string;
}

/**
 * Ways back of restores do not count, nor do backups that had to leave items out, which say so themselves.
 * What has shrunk is told until the next backup: that one is held against the small one.
 */
export function findShrunk(backups: readonly BackupRecord[], type: JobType): Shrunk | null {
  return compareSizes(
    backups,
    type,
    (now, then, fewest) => now < then * SHARE_LEFT && (then >= fewest || now === 0),
  );
}

/** The same for a backup whose size is another by more than a fifth, up or down, and not {@linkcode findShrunk}. */
export function findResized(backups: readonly BackupRecord[], type: JobType): Shrunk | null {
  if (findShrunk(backups, type) !== null) return null;
  return compareSizes(
    backups,
    type,
    (now, then, fewest) => then >= fewest && Math.abs(now - then) > then * SHARE_CHANGED,
  );
}

function compareSizes(
  backups: readonly BackupRecord[],
  type: JobType,
  isTold: (now: number, then: number, fewest: number) => boolean,
): Shrunk | null {
  const [newest, before] = backups
    .filter((each) => each.type === type && each.origin !== "safety" && !isPartial(each))
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  if (newest === undefined || before === undefined) return null;
  const [now, then] = [amountsOf(newest), amountsOf(before)];
  for (const { name, words } of MEASURES) {
    const [left, held] = [now[name], then[name]];
    if (left === undefined || held === undefined || !isTold(left, held, FEWEST[name])) continue;
    const [backupId, beforeId] = [newest.backupId, before.backupId];
    const found = `${backupId} holds ${left} ${words}, and ${beforeId} before it holds ${held}`;
    return { backupId, beforeId, found };
  }
  return null;
}

/** Backups that are read to find two that count. */
const MOST_READ = 5;

/** Both from storage. @throws the `storage_*` and `object_*` codes */
export async function readSizeChange(
  repository: Pick<Repository, "backupIds" | "listBackups">,
  type: JobType,
): Promise<{ shrunk: Shrunk | null; resized: Shrunk | null }> {
  const ids = (await repository.backupIds())
    .filter((id) => typeOfJobId(id) === type && !id.startsWith("safety_"));
  const { backups } = await repository.listBackups({ ids: ids.slice(0, MOST_READ) });
  return { shrunk: findShrunk(backups, type), resized: findResized(backups, type) };
}

const MEASURES = [{ name: "rows", words: "rows" }, { name: "rawBytes", words: "bytes" }] as const;

function amountsOf(record: BackupRecord): { rows?: number; rawBytes: number } {
  const { rawBytes } = record.totals;
  return record.type === "database" ? { rows: record.totals.rows, rawBytes } : { rawBytes };
}

function isPartial(record: BackupRecord): boolean {
  return record.type !== "database" && record.partial;
}
