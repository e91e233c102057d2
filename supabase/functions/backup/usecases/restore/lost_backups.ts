/**
 * Compares the tables with storage: a backup that was finished and is not there any more, or is another
 * one now, was taken away by somebody, or the bucket was put back to an older state. Storage alone cannot
 * tell, because all that is there is intact.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import { momentOfJobId, typeOfJobId } from "../../core/ids.ts";
import { requestLine } from "../../core/request_line.ts";
import type { Repository } from "../../repository/mod.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import type { Deps } from "../deps.ts";

/** What storage has, as far as it was looked at. */
export interface StoredNames {
  /** Of all backups that are listed. */
  ids: readonly string[];
  /** Those whose records were read, and those of them that cannot be. */
  list: {
    backups: readonly { backupId: string; manifest: string }[];
    damaged: readonly { backupId: string }[];
  };
}

/** What the tables know and storage does not have so. Ids, oldest first. */
export interface LostBackups {
  missing: string[];
  /** There is a backup of that id, and it is another one or cannot be read. */
  replaced: string[];
}

/** Accepts, in a restore, that newer backups are lost. */
export const ACCEPT_LOST = "backups-lost";

/**
 * Looks for lost backups: by name among all, by content among those that were read.
 *
 * @param place `stored` is what storage has; null where there is no repository any more
 */
export async function findLostBackups(
  deps: Deps,
  { location, stored }: { location: string; stored: StoredNames | null },
): Promise<LostBackups> {
  const lost: LostBackups = { missing: [], replaced: [] };
  const listed = new Set(stored?.ids);
  const read = new Map(stored?.list.backups.map((record) => [record.backupId, record.manifest]));
  const damaged = new Set(stored?.list.damaged.map((one) => one.backupId));
  for (const { backupId, checksum } of await knownBackups(deps, location)) {
    const manifest = read.get(backupId);
    if (damaged.has(backupId)) lost.replaced.push(backupId);
    else if (!listed.has(backupId)) lost.missing.push(backupId);
    else if (manifest !== undefined && checksum !== null && checksum !== manifest) {
      lost.replaced.push(backupId);
    }
  }
  if (stored !== null && lost.missing.length > 0) await leaveOutExpired(deps, lost);
  return lost;
}

/**
 * What retention let go is not lost. The storage says so, and the tables learn it from there when it was
 * another program that did it, or one that ended before it could tell them.
 */
async function leaveOutExpired(deps: Deps, lost: LostBackups): Promise<void> {
  const { settings } = await deps.settings();
  const since = sinceOf(lost.missing);
  const expired = await (await deps.openRepository(settings)).freeing.expired({ since });
  const backupIds = lost.missing.filter((id) => expired.has(id));
  if (backupIds.length === 0) return;
  lost.missing = lost.missing.filter((id) => !expired.has(id));
  await deps.state.backups.markFreed({ backupIds, pointIds: [] });
}

/**
 * The same by names alone, without reading the backups that there are: what the tables know, and storage neither
 * lists nor says to have expired. Oldest first.
 */
export async function findUnlisted(
  deps: Deps,
  repository: Repository,
  signal?: AbortSignal,
): Promise<string[]> {
  const options = signal === undefined ? {} : { signal };
  const known = await knownBackups(deps, repository.location);
  const listed = new Set(await repository.backupIds(options));
  const missing = known.map(({ backupId }) => backupId).filter((id) => !listed.has(id));
  if (missing.length === 0) return [];
  const expired = await repository.freeing.expired({ ...options, since: sinceOf(missing) });
  return missing.filter((id) => !expired.has(id));
}

/** The moment of the oldest: before it none of them can have expired. */
function sinceOf(backupIds: readonly string[]): Date {
  return new Date(Math.min(...backupIds.map((id) => momentOfJobId(id)?.getTime() ?? 0)));
}

/** Ids that a line to copy holds. */
const MOST_TO_COPY = 20;

/** As an error, null when nothing is lost. */
export function lostError(lost: LostBackups, verb = "trust the storage"): BackupError | null {
  const words = [
    ...(lost.missing.length === 0 ? [] : [`${shorten(lost.missing)} not there`]),
    ...(lost.replaced.length === 0 ? [] : [`${shorten(lost.replaced)} not what was stored`]),
  ];
  if (words.length === 0) return null;
  const ids = [...lost.missing, ...lost.replaced];
  const giveUpBackups = ids.length <= MOST_TO_COPY ? ids : ["<their ids>"];
  return new BackupError(
    "backups_lost",
    `Cannot ${verb}: by the tables it lost backups: ${words.join("; ")}`,
    {
      hint:
        "Somebody removed them, or the storage was put back to an older state: look at another " +
        `copy. If it was on purpose, give them up: ${requestLine("init", { giveUpBackups })}`,
      details: { ...lost },
    },
  );
}

/**
 * The newest backup in storage is not the newest one if somebody took that away; and a chosen one may be
 * another than the one that was stored.
 *
 * @throws `backups_lost`
 */
export async function refuseLost(
  deps: Deps,
  repository: Repository,
  { chosen, newest }: { chosen: string; newest: boolean },
): Promise<void> {
  const concerns = (id: string) =>
    id === chosen ||
    (newest && id.startsWith("backup_") && typeOfJobId(id) === typeOfJobId(chosen) &&
      momentOf(id) > momentOf(chosen));
  const ids = await repository.backupIds();
  const list = await repository.listBackups({ ids: ids.filter(concerns) });
  const { location } = repository;
  const { missing, replaced } = await findLostBackups(deps, { location, stored: { ids, list } });
  const lost = { missing: missing.filter(concerns), replaced: replaced.filter(concerns) };
  const error = lostError(lost, `restore ${newest ? "the latest backup" : chosen}`);
  if (error === null) return;
  throw new BackupError(error.code, error.message, {
    hint: `Nothing was changed. Restore another backup by its id, or accept ${ACCEPT_LOST} in ` +
      `acceptHazards to take ${chosen}. ${error.hint ?? ""}`,
    details: { ...lost, chosen },
  });
}

/** The tables may be gone, which is what `init` repairs: then there is nothing to compare with. */
async function knownBackups(deps: Deps, location: string) {
  try {
    return await deps.state.backups.knownAt(location);
  } catch (error) {
    const failure = toBackupError(error);
    if (!isStateUnavailable(failure) && failure.code !== "invalid_config") throw failure;
    return [];
  }
}

/** The moment in a backup's id, by which ids of all kinds are in order. */
export function momentOf(backupId: string): string {
  return backupId.slice(backupId.indexOf("_") + 1);
}

function shorten(ids: readonly string[]): string {
  const older = ids.length > 5 ? ` and ${ids.length - 5} older ones` : "";
  return `${ids.slice(-5).join(", ")}${older} ${ids.length === 1 ? "is" : "are"}`;
}
