/**
 * A small repository, its copy, and replications between the two in this process.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { Job } from "../../supabase/functions/backup/core/job.ts";
import type { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import {
  createRepository,
  openRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import {
  type MemoryStorage,
  memoryStorage,
} from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { replicateInParts } from "../../supabase/functions/backup/usecases/replicate/replicate_in_parts.ts";
import {
  type ReplicateReport,
  writeReport,
} from "../../supabase/functions/backup/usecases/replicate/replicate_report.ts";
import { noise, SAMPLE_KEY, writeSampleBackup } from "./repository_samples.ts";

/** Backups of the sample, and its recovery point. */
export const FIRST = "backup_20260101T000000000Z_0000000001";
export const SECOND = "backup_20260102T000000000Z_0000000002";
export const POINT = "point_20260102T000000000Z_0000000003";

/** Rows of which both backups share some. */
export const rowsOf = (seed: number) => Array.from({ length: 6 }, (_, i) => noise(1000, seed + i));

/** A repository with two backups, a point, a document and an owner; and an empty place for its copy. */
export async function samples(key: Secret | null = SAMPLE_KEY) {
  const original = memoryStorage();
  const writer = await createRepository({ storage: original, key });
  await writeSampleBackup(writer, { backupId: FIRST, parts: rowsOf(1), targetBytes: 1000 });
  await writeSampleBackup(writer, { backupId: SECOND, parts: rowsOf(4), targetBytes: 1000 });
  await writer.commitPoint({
    ...{ format: 1, pointId: POINT, reason: null, origin: "manual", createdBy: "test" },
    ...{ createdAt: "2026-01-02T00:00:00.000Z", completedAt: "2026-01-02T00:00:01.000Z" },
    ...{ status: "completed", components: [], consistency: [], writtenBy: "test" },
  });
  await writer.writeDocument({ name: "plans/custom/000001", value: { id: "a" } });
  await writer.claimOwner({ projectRef: null, systemIdentifier: "7", database: "postgres" });
  return { original, copy: memoryStorage(), key };
}

/** Both ends, and what opens them. */
export interface Places {
  original: Storage;
  copy: Storage;
  key: Secret | null;
}

/** Runs a replication in this process, each time by newly opened repositories. */
export async function replicate(
  { original, copy, key }: Places,
  options: {
    level?: "quick" | "full";
    dryRun?: boolean;
    mostChunks?: number;
    mostCompared?: number;
  } = {},
): Promise<ReplicateReport> {
  const { level = "quick", dryRun = false } = options;
  const repository = await openRepository({ storage: original, key });
  if (options.mostChunks !== undefined) giveRoom(repository, options.mostChunks);
  const job: Job = await runInProcess(
    replicateInParts({
      ...{ level, dryRun },
      ...(options.mostCompared === undefined ? {} : { mostCompared: options.mostCompared }),
      original: { storage: original, repository },
      copy: { storage: copy, open: () => openRepository({ storage: copy, key }) },
      async conclude(results) {
        const head = { destination: "offsite", location: copy.location, level, dryRun };
        return { ...await writeReport(head, results) };
      },
    }),
    {
      job: {
        ...{ jobId: "replicate_1", kind: "replicate", type: "database", backupId: "offsite" },
        ...{ reason: null, createdBy: null },
      },
      clock: systemClock,
      concurrency: 2,
    },
  );
  return job.result as unknown as ReplicateReport;
}

/** Lists backups as a worker does that has room for so many chunks. */
function giveRoom(repository: Repository, mostChunks: number) {
  const copyingTo = repository.copyingTo.bind(repository);
  repository.copyingTo = (copy) => {
    const copying = copyingTo(copy);
    return {
      ...copying,
      adopt: (ids, options) => copying.adopt(ids, { ...options, mostChunks }),
      lock: (id, options) => copying.lock(id, { ...options, most: mostChunks }),
    };
  };
}

/** All that is stored, by name. */
export function bodies({ objects }: MemoryStorage): Map<string, string> {
  return new Map(
    [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { body }]) => [name, `${body}`]),
  );
}

/** Changes a byte in the middle, or takes the end away. */
export function damage(
  { objects }: MemoryStorage,
  path: string,
  how: "altered" | "cut" = "altered",
) {
  const { body, modifiedAt } = objects.get(path)!;
  const damaged = how === "cut" ? body.slice(0, -3) : body.slice();
  if (how === "altered") damaged[body.length >> 1]! ^= 1;
  objects.set(path, { body: damaged, modifiedAt });
}

/** Path of a chunk. */
export const pathOf = (name: string) => `chunks/${name.slice(0, 2)}/${name}`;
