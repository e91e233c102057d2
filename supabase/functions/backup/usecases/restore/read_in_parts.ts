/**
 * Reads what a plan must know of a backup with very many objects, in parts: no single worker could read
 * all of it. What the parts give waits in their results, packed.
 *
 * @module
 */
import { fromBase64, toBase64 } from "../../core/bytes.ts";
import type { DataPart, Entry, SourceFacts, TableData } from "../../core/model.ts";
import type { Json, Lease, NewPart, PartOutcome } from "../../core/part.ts";
import type { CatalogSlice } from "../../dump/mod.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import {
  type DatabaseManifest,
  type LinesRef,
  mapConcurrent,
  type Repository,
} from "../../repository/mod.ts";
import {
  type BackupFacts,
  hashesOf,
  type LineHashes,
  mayPlanSlim,
  packEntries,
  type RestoreRequest,
  slimDataPart,
  type SlimLines,
  slimTableData,
  unpackEntries,
} from "../../restore/mod.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import { PLAN, READ, READ_TARGET, type TargetPayload } from "./parts_of_restore.ts";

/** Chunks that one part reads; one has some hundred kilobytes. */
const CHUNKS_A_PART = 50;
/** Chunks that are read at a time. */
const CONCURRENCY = 4;

/**
 * What these parts have moved, for progress. They begin with the length of the lists that they read or plan
 * from, so that no worker takes one that has half of what it may use behind it.
 */
export const NO_ROWS = { bytes: 0 };

/** The lists of a manifest. */
const LISTS = ["entries", "tableData", "dataParts"] as const;
type List = typeof LISTS[number];

/** Some chunks of one list. */
interface ReadPayload {
  backupId: string;
  list: List;
  from: number;
  to: number;
}

/** What a part has read; of other lists than entries without numbers. */
interface ReadResult extends Pick<SlimLines, "numbers" | "alone"> {
  list: List;
  packed: string;
}

/**
 * What planning does first: it has both sides read, and itself done again behind that. Null when one worker
 * can read all of the backup, or has to.
 *
 * @param options.chunksAPart how many of the backup's one part reads
 * @param options.cutTarget slices of the target, none where one part can read all of it
 */
export async function readFirst(
  { repository, backupId, request, chunksAPart = CHUNKS_A_PART, cutTarget }: {
    repository: Repository;
    backupId: string;
    request: RestoreRequest;
    chunksAPart?: number | undefined;
    cutTarget: (source: SourceFacts) => Promise<CatalogSlice[]>;
  },
): Promise<PartOutcome | null> {
  const { manifest } = await repository.readBackup(backupId);
  const chunks = LISTS.reduce((sum, list) => sum + manifest[list].chunks.length, 0);
  if (chunks <= chunksAPart || !mayPlanSlim(request)) return null;
  const slices = await cutTarget(manifest.source);
  const reading = readingParts(manifest, chunksAPart);
  const bytes = reading.reduce((sum, part) => sum + part.bytes, 0);
  // A target that is cut may hold as much as the backup; all others are small.
  const each = slices.length === 0 ? 0 : Math.ceil(bytes / slices.length);
  const target = (slices.length === 0 ? [null] : slices).map((slice): NewPart => {
    const payload: TargetPayload = { backupId: manifest.backupId, slice };
    return { step: 2, name: READ_TARGET, payload: payload as unknown as Json, bytes: each };
  });
  const payload = { backupId: manifest.backupId };
  // Twice as much is never expected to fit into what a worker has left.
  const again: NewPart = { step: 3, name: PLAN, payload, bytes: 2 * bytes };
  return { result: null, add: [...reading, ...target, again] };
}

function readingParts(manifest: DatabaseManifest, most: number): NewPart[] {
  return LISTS.flatMap((list) => {
    const { chunks } = manifest[list];
    return Array.from({ length: Math.ceil(chunks.length / most) }, (_, at) => {
      const from = at * most;
      const to = Math.min(from + most, chunks.length);
      const payload: ReadPayload = { backupId: manifest.backupId, list, from, to };
      const bytes = chunks.slice(from, to).reduce((sum, { rawBytes }) => sum + rawBytes, 0);
      return { step: 1, name: READ, payload: payload as unknown as Json, bytes };
    });
  });
}

/** Does one of them. */
export async function readSome(
  lease: Lease,
  { repository, request, commandLine = "deno task restore" }: {
    repository: Repository;
    request: RestoreRequest;
    commandLine?: string;
  },
  { signal }: Pick<PartContext, "signal">,
): Promise<PartOutcome> {
  const { backupId, list, from, to } = lease.payload as unknown as ReadPayload;
  refuseWithoutRoom(lease, {
    doing: `plan the restore of ${backupId}`,
    hint: `Nothing was changed. Run it on any computer: ${commandLine}`,
  });
  const { manifest } = await repository.readBackup(backupId, { signal });
  const chunks = manifest[list].chunks.slice(from, to);
  const values = (await mapConcurrent(chunks, CONCURRENCY, async (chunk) => {
    const lines: LinesRef = { lines: chunk.lines, chunks: [chunk] };
    return await Array.fromAsync(repository.readLines(lines, { signal }));
  })).flat();
  const result = await resultOf(list, values, request);
  return { result: result as unknown as Json, ...NO_ROWS };
}

async function resultOf(
  list: List,
  values: unknown[],
  request: RestoreRequest,
): Promise<ReadResult> {
  if (list === "entries") {
    const { columns, ...told } = packEntries(values as Entry[], request);
    return { list, packed: await pack(columns), ...told };
  }
  const slim = list === "tableData"
    ? (values as TableData[]).map(slimTableData)
    : (values as DataPart[]).map(slimDataPart);
  return { list, packed: await pack(slim), numbers: "", alone: [] };
}

/** Hashes of the backup's entries, by line. */
export async function readHashes(
  { results }: Pick<PartContext, "results">,
): Promise<LineHashes> {
  const packs: ReadResult[] = [];
  for await (const part of results(READ)) {
    packs.push(part.result as unknown as ReadResult);
  }
  return hashesOf(packs);
}

/** Puts together what the parts have read; lines have the numbers that they have in the backup. */
export async function readSlim(
  repository: Repository,
  backupId: string,
  { results, withDigests }: Pick<PartContext, "results"> & { withDigests: boolean },
): Promise<{ backup: BackupFacts; hashes: LineHashes }> {
  const { manifest } = await repository.readBackup(backupId);
  const backup: BackupFacts = {
    ...{ backupId: manifest.backupId, source: manifest.source },
    ...{ entries: [], tableData: [], dataParts: [] },
  };
  const packs: Pick<SlimLines, "numbers" | "alone">[] = [];
  for await (const part of results(READ)) {
    const { list, packed, numbers, alone } = part.result as unknown as ReadResult;
    const values = await unpack(packed);
    if (list === "entries") {
      packs.push({ numbers, alone });
      const entries = unpackEntries({ columns: values as SlimLines["columns"], numbers }, {
        withDigests,
      });
      // Lists are long: an array of them at once would not fit on the stack.
      for (const entry of entries) backup.entries.push(entry);
    } else for (const value of values as unknown[]) (backup[list] as unknown[]).push(value);
  }
  return { backup, hashes: hashesOf(packs) };
}

/** JSON, compressed, as a text. */
export async function pack(value: unknown): Promise<string> {
  const stream = new Blob([JSON.stringify(value)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return toBase64(new Uint8Array(await new Response(stream).arrayBuffer()));
}

/** The value again. */
export async function unpack(packed: string): Promise<unknown> {
  const stream = new Blob([fromBase64(packed)]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).json();
}
