/**
 * A repository with thousands of backups, as years of hourly ones leave it: each has some rows of its own
 * and shares the others with all.
 *
 * @module
 */
import type { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import {
  type MemoryStorage,
  memoryStorage,
} from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { noise, writeSampleBackup } from "./repository_samples.ts";

const HOUR_MS = 3_600_000;
/** Bytes of a chunk. */
const CHUNK_BYTES = 400;

/** What is made. */
export interface ManyBackupsOptions {
  key: Secret;
  backups: number;
  /** Chunks with rows that only one backup has. */
  ownChunks: number;
  /** Chunks that all backups share. */
  sharedChunks: number;
  /** The newest backup's moment; the others lie an hour apart before it. */
  newest: Date;
  /** Told now and then how many there are. */
  onProgress?: (made: number) => void;
}

/** The id of the backup so many hours before the newest. */
export function idBefore(newest: Date, hours: number): string {
  const moment = new Date(newest.getTime() - hours * HOUR_MS).toISOString();
  return `backup_${moment.replace(/[-:.]/g, "")}_${String(hours).padStart(10, "0")}`;
}

/** Makes the repository; each object is as old as its backup. */
export async function writeManyBackups(options: ManyBackupsOptions): Promise<MemoryStorage> {
  const { key, backups, ownChunks, sharedChunks, newest, onProgress } = options;
  const clock = { at: 0, now: () => new Date(clock.at), sleep: () => Promise.resolve() };
  const storage = memoryStorage(clock);
  clock.at = newest.getTime() - backups * HOUR_MS;
  const repository: Repository = await createRepository({
    storage: withoutListing(storage),
    ...{ key, clock, compression: { algorithm: "none" as const, level: 1 } },
  });
  const shared = Array.from({ length: sharedChunks }, (_, at) => noise(CHUNK_BYTES, at + 1));
  for (let hours = backups - 1; hours >= 0; hours--) {
    clock.at = newest.getTime() - hours * HOUR_MS;
    const seed = 1000 + hours * ownChunks;
    const own = Array.from({ length: ownChunks }, (_, at) => noise(CHUNK_BYTES, seed + at));
    await writeSampleBackup(repository, {
      ...{ backupId: idBefore(newest, hours), parts: [...shared, ...own] },
      targetBytes: CHUNK_BYTES,
    });
    if (hours % 100 === 0) onProgress?.(backups - hours);
  }
  return storage;
}

/** Nothing frees space meanwhile, and each look for that would go through all objects. */
function withoutListing(storage: MemoryStorage): Storage {
  return {
    ...storage,
    async *list(prefix, signal) {
      if (prefix !== "freed/") yield* storage.list(prefix, signal);
    },
  };
}
