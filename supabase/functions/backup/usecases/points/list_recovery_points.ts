/**
 * What can be recovered and to which times, straight from storage.
 *
 * @module
 */
import { momentOfJobId } from "../../core/ids.ts";
import type { BackupRecord, RecoveryPoint } from "../../repository/mod.ts";
import type { Deps } from "../deps.ts";
import { presentPoints } from "./present_point.ts";

/** A backup by the times that it shows. */
export interface RecoverableBackup {
  backupId: string;
  type: BackupRecord["type"];
  from: string;
  to: string;
  partial: boolean;
  origin: BackupRecord["origin"];
}

/** See the module. */
export interface RecoveryPointList {
  points: RecoveryPoint[];
  backups: RecoverableBackup[];
  /** Records that cannot be read. */
  damaged: { id: string; code: string; message: string }[];
}

/**
 * Points and backups that show a time within [from, to], newest first by what they show, at most `limit` of
 * each.
 *
 * @throws `repository_missing`, `key_*`, `storage_*`
 */
export async function listRecoveryPoints(
  deps: Deps,
  { from, to, limit }: { from: string | null; to: string | null; limit: number },
): Promise<RecoveryPointList> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const window: Window = {
    first: from === null ? -Infinity : Date.parse(from),
    last: to === null ? Infinity : Date.parse(to),
    limit,
  };
  const points = await look(await repository.pointIds(), window, async (ids) => {
    const { points, damaged } = await repository.listPoints({ ids });
    return {
      found: points.map((point) => ({ point, ...shownBy(point) })),
      damaged: damaged.map(({ pointId, ...rest }) => ({ id: pointId, ...rest })),
    };
  });
  const backups = await look(await repository.backupIds(), window, async (ids) => {
    const { backups, damaged } = await repository.listBackups({ ids });
    return {
      found: backups.map(toRecoverable),
      damaged: damaged.map(({ backupId, ...rest }) => ({ id: backupId, ...rest })),
    };
  });
  return {
    points: await presentPoints(repository, points.found.map(({ point }) => point)),
    backups: backups.found,
    damaged: [...points.damaged, ...backups.damaged],
  };
}

/** What is asked for. */
interface Window {
  first: number;
  last: number;
  limit: number;
}

type Damaged = RecoveryPointList["damaged"];

/** Records that are read at a time; at least so many, that one that began late is among the newest. */
const PAGE = 100;
const LEAST = 20;

/**
 * What it takes to make a backup is less, also with the wait of a planned one for its turn; its id tells when it
 * was to begin.
 */
const LONGEST_MS = 7 * 86_400_000;
/** Clocks are wrong by less. */
const WRONG_MS = 86_400_000;

/**
 * Reads from the newest on until there are enough, and none whose id tells that it is of another time.
 *
 * @param ids newest first
 */
async function look<T extends { from: string; to: string }>(
  ids: readonly string[],
  { first, last, limit }: Window,
  read: (ids: readonly string[]) => Promise<{ found: T[]; damaged: Damaged }>,
): Promise<{ found: T[]; damaged: Damaged }> {
  const mayShow = ids.filter((id) => {
    const moment = momentOfJobId(id)?.getTime();
    return moment === undefined || (moment >= first - LONGEST_MS && moment <= last + WRONG_MS);
  });
  const looked: { found: T[]; damaged: Damaged } = { found: [], damaged: [] };
  const page = Math.min(Math.max(limit, LEAST), PAGE);
  for (let at = 0; at < mayShow.length && looked.found.length < limit; at += page) {
    const { found, damaged } = await read(mayShow.slice(at, at + page));
    looked.damaged.push(...damaged);
    looked.found.push(
      ...found.filter(({ from, to }) => Date.parse(to) >= first && Date.parse(from) <= last),
    );
  }
  // One that was planned and began late has an older id than those that were made while it waited.
  looked.found.sort((a, b) => Date.parse(b.to) - Date.parse(a.to));
  looked.found.length = Math.min(looked.found.length, limit);
  return looked;
}

/** The times that a point's backups show; without any, those of its making. */
function shownBy(
  { components, createdAt, completedAt }: RecoveryPoint,
): { from: string; to: string } {
  const times = components.flatMap(({ from, to }) => from === null || to === null ? [] : [from, to])
    .sort((a, b) => Date.parse(a) - Date.parse(b));
  return { from: times[0] ?? createdAt, to: times.at(-1) ?? completedAt };
}

function toRecoverable(record: BackupRecord): RecoverableBackup {
  const { backupId, type, origin, createdAt, completedAt } = record;
  const head = { backupId, type, origin };
  if (record.type !== "database") {
    return { ...head, from: createdAt, to: completedAt, partial: record.partial };
  }
  const { snapshotAt, level } = record.consistency;
  return { ...head, from: snapshotAt, to: snapshotAt, partial: level !== "one-moment" };
}
