/**
 * Objects in the store behind Storage that no row of the database knows: bytes that cost and that nobody
 * can reach.
 *
 * @module
 */
import type { Storage } from "../storage/storage.ts";
import type { ObjectRows, StoredVersion } from "./object_rows.ts";

/**
 * The store behind Storage, which names objects `bucket/name/version`: a bucket of S3 below the project's
 * own prefix, or a directory.
 */
export type ObjectStore = Pick<Storage, "list">;

/** What was found. */
export interface Orphans {
  count: number;
  /** The first of them. */
  names: string[];
  /** False when there were more objects than are looked at. */
  complete: boolean;
}

/** Versions looked up at once. */
const BATCH = 1000;

/** Names that are told. */
const TOLD = 20;

/** Objects that are looked at: a comparison must fit into one worker. */
const MOST = 200_000;

/** Compares the store with the rows. An upload that is under way may be among what is found. */
export async function findOrphans(
  store: ObjectStore,
  rows: ObjectRows,
  signal: AbortSignal,
): Promise<Orphans> {
  const found: Orphans = { count: 0, names: [], complete: true };
  let batch: StoredVersion[] = [];
  let seen = 0;
  const look = async () => {
    for (const { bucket, name, version } of await rows.unknown(batch)) {
      found.count += 1;
      if (found.names.length < TOLD) found.names.push(`${bucket}/${name}/${version}`);
    }
    batch = [];
  };
  for await (const { name: key } of store.list("", signal)) {
    const parts = /^([^/]+)\/(.+)\/([^/]+)$/s.exec(key);
    // Sidecar files of uploads that are under way are no objects.
    if (parts === null || key.endsWith(".info") || key.endsWith(".json")) continue;
    if (seen++ >= MOST) {
      found.complete = false;
      break;
    }
    batch.push({ bucket: parts[1]!, name: parts[2]!, version: parts[3]! });
    if (batch.length === BATCH) await look();
  }
  await look();
  return found;
}
