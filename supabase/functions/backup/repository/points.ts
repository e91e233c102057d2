/**
 * Recovery points: which backups belong together.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import { isPointId } from "../core/ids.ts";
import { isDamage } from "./backups.ts";
import { mapConcurrent } from "./map_concurrent.ts";
import type { ObjectStore } from "./object_store.ts";
import { baseName, pointPath, POINTS } from "./paths.ts";
import { isPoint } from "./stored_form.ts";
import type { PointList, RecoveryPoint } from "./types.ts";

/** Requests for single objects at once. */
const CONCURRENCY = 8;

/** See `Repository.commitPoint`. */
export async function commitPoint(
  objects: ObjectStore,
  point: RecoveryPoint,
  signal?: AbortSignal,
): Promise<RecoveryPoint> {
  if (!isPointId(point.pointId)) {
    throw new BackupError(
      "invalid_request",
      "Cannot keep the recovery point: its id has another form",
    );
  }
  const path = pointPath(point.pointId);
  const content = utf8(JSON.stringify(point));
  const { created } = await objects.put(content, { kind: "point", path }, signal);
  return created ? point : await readOne(objects, point.pointId, signal);
}

/** See `Repository.listPoints`. */
export async function listPoints(
  objects: ObjectStore,
  options: { limit?: number; ids?: readonly string[]; signal?: AbortSignal } = {},
): Promise<PointList> {
  const { limit = Infinity, signal } = options;
  const ids = options.ids ?? (await pointIds(objects, signal)).slice(0, limit);
  const list: PointList = { points: [], damaged: [] };
  const found = await mapConcurrent(ids, CONCURRENCY, async (pointId) => {
    try {
      return await readOne(objects, pointId, signal);
    } catch (error) {
      const { code, message } = toBackupError(error);
      if (!isDamage(code)) throw error;
      return { pointId, code, message };
    }
  });
  for (const item of found) {
    if ("code" in item) list.damaged.push(item);
    else list.points.push(item);
  }
  return list;
}

/** See `Repository.readPoint`. */
export async function readPoint(
  objects: ObjectStore,
  idOrLatest: string,
  signal?: AbortSignal,
): Promise<RecoveryPoint> {
  if (idOrLatest === "latest") {
    for (const pointId of await pointIds(objects, signal)) {
      const point = await readOne(objects, pointId, signal);
      if (point.status !== "failed") return point; // of a failed one there is nothing to restore
    }
  }
  const pointId = idOrLatest;
  const there = isPointId(pointId) &&
    await objects.storage.head(pointPath(pointId), signal) !== null;
  if (there) return await readOne(objects, pointId, signal);
  throw new BackupError(
    "backup_not_found",
    "Cannot open the recovery point: there is none of this id",
    {
      hint: "List them with action=recovery-points.",
      details: { pointId: idOrLatest },
    },
  );
}

async function readOne(
  objects: ObjectStore,
  pointId: string,
  signal: AbortSignal | undefined,
): Promise<RecoveryPoint> {
  const path = pointPath(pointId);
  const content = await objects.get({ kind: "point", path }, signal);
  let point: { format?: unknown } | null;
  try {
    point = JSON.parse(fromUtf8(content));
  } catch (cause) {
    throw new BackupError("object_altered", `Cannot read ${path}: it is not JSON`, { cause });
  }
  if (point?.format !== 1) {
    throw new BackupError("repository_format", `Cannot read ${path}: unknown format`, {
      hint: "Use a newer release of this software.",
    });
  }
  if (!isPoint(point)) {
    throw new BackupError("object_altered", `Cannot read ${path}: it is not of a point's form`);
  }
  if (point.pointId === pointId) return point;
  throw new BackupError("object_altered", `Cannot read ${path}: it is another point's`);
}

/** Newest first. */
export async function pointIds(objects: ObjectStore, signal?: AbortSignal): Promise<string[]> {
  const ids: string[] = [];
  for await (const { name } of objects.storage.list(POINTS, signal)) {
    if (isPointId(baseName(name))) ids.push(baseName(name));
  }
  return ids.sort().reverse();
}
