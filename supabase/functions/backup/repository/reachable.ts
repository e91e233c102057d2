/**
 * What stored backups refer to. Lists that several backups share are read once.
 *
 * @module
 */
import { fromUtf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import { momentOfJobId } from "../core/ids.ts";
import { linesOf, readAnyBackup } from "./backups.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { readExpired } from "./expire.ts";
import { mapConcurrent } from "./map_concurrent.ts";
import { type Referred, referredByLine } from "./referred.ts";
import type { LinesRef, Manifest } from "./types.ts";

/** Requests at once. */
const CONCURRENCY = 4;

/** What manifests themselves say. Names of content; each once. */
export interface ManifestRefs {
  manifests: string[];
  /** Chunks that the manifests name. */
  chunks: string[];
  /** Those of them whose lines name further chunks, and how long these lines are. */
  lists: { name: string; rawBytes: number }[];
}

/**
 * Reads the manifests of backups.
 *
 * @throws the `object_*` codes and `backup_not_found`: what cannot be read may refer to anything
 */
export async function refsOfManifests(
  chunks: ChunkStore,
  backupIds: readonly string[],
  signal?: AbortSignal,
): Promise<ManifestRefs> {
  const manifests = new Set<string>();
  const names = new Set<string>();
  const lists = new Map<string, number>();
  await mapConcurrent(backupIds, CONCURRENCY, async (backupId) => {
    const opened = await readUnlessGone(chunks, backupId, signal);
    if (opened === null) return;
    const { record, manifest } = opened;
    manifests.add(record.manifest);
    for (const ref of linesOf(manifest)) for (const { name } of ref.chunks) names.add(name);
    for (const { name, rawBytes } of listsOf(manifest)) lists.set(name, rawBytes);
  });
  return {
    manifests: [...manifests],
    chunks: [...names],
    lists: [...lists].map(([name, rawBytes]) => ({ name, rawBytes })),
  };
}

/**
 * Null for a backup that expired since it was listed.
 *
 * @throws `backup_not_found` for one that was listed, is not there, and did not expire: the storage contradicts itself
 */
async function readUnlessGone(chunks: ChunkStore, backupId: string, signal?: AbortSignal) {
  try {
    return await readAnyBackup(chunks, backupId, signal);
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== "backup_not_found") throw error;
    const since = momentOfJobId(backupId) ?? undefined;
    if ((await readExpired(chunks.objects, { since, signal })).has(backupId)) return null;
    throw error;
  }
}

/** Chunks whose lines name chunks of rows or of contents. */
function listsOf(manifest: Manifest): LinesRef["chunks"] {
  const refs = manifest.type === "database"
    ? [manifest.dataParts]
    : manifest.pages.map(({ items }) => items);
  return refs.flatMap((ref) => ref.chunks);
}

/**
 * Names of chunks that the lines of lists speak of.
 *
 * @throws the `object_*` codes: a list that is not wholly understood may name anything
 */
export async function refsOfLists(
  chunks: ChunkStore,
  lists: readonly string[],
  { found, signal }: { found: (name: string) => void; signal?: AbortSignal },
): Promise<void> {
  await mapConcurrent(lists, CONCURRENCY, async (list) => {
    signal?.throwIfAborted();
    const text = fromUtf8(await chunks.read(list, signal));
    for (const line of text.split("\n")) {
      if (line === "") continue;
      for (const { pieces } of referredIn(line, list)) {
        for (const { chunk } of pieces) found(chunk);
      }
    }
  });
}

function referredIn(line: string, list: string): Referred[] {
  let referred: Referred[] | null;
  try {
    referred = referredByLine(JSON.parse(line));
  } catch (cause) {
    throw notUnderstood(list, "is not JSON", cause);
  }
  if (referred === null) throw notUnderstood(list, "names no pieces");
  return referred;
}

function notUnderstood(list: string, what: string, cause?: unknown): BackupError {
  return new BackupError("object_altered", `Cannot read the list ${list}: a line of it ${what}`, {
    hint: "Verify the repository. Nothing was freed.",
    ...(cause === undefined ? {} : { cause }),
  });
}
