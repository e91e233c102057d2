/**
 * The lists of backups, chunk by chunk, for a verification in parts: what several backups share is looked
 * at once, and no list is too long for one look.
 *
 * @module
 */
import { fromUtf8 } from "../core/bytes.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import { isDamage, readAnyBackup } from "./backups.ts";
import { type ChunkEnds, keyOf, noteEnd } from "./chunk_ends.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { mapConcurrent } from "./map_concurrent.ts";
import { backupPath, isContentName } from "./paths.ts";
import { type Referred, referredByLine } from "./referred.ts";
import type { LinesRef, Manifest, VerifyReport } from "./types.ts";

/** Something that is wrong. */
export type Problem = VerifyReport["problems"][number];

/** A chunk of lines. Survives JSON. */
export interface ListChunk {
  name: string;
  lines: number;
  rawBytes: number;
  /** Whether its lines say where rows or contents are. */
  refers: boolean;
}

/** A backup that could be opened. */
export interface LookedBackup {
  backupId: string;
  /** Name of its manifest. */
  manifest: string;
  /** Places in the answer's `lists`. */
  lists: number[];
}

/** What records and manifests say. Survives JSON. */
export interface LookedBackups {
  backups: LookedBackup[];
  /** Each once. */
  lists: ListChunk[];
  problems: Problem[];
}

/** What is wrong with a list. Survives JSON. */
export interface ListFinding {
  /** Its place among those that were looked at. */
  list: number;
  /** What a line is about; null when the list itself cannot be read. */
  object: string | null;
  code: string;
  message: string;
}

/** Lists read at once. */
const CONCURRENCY = 4;

/** Opens backups: what is wrong with one is in the answer, not thrown. */
export async function lookAtBackups(
  chunks: ChunkStore,
  backupIds: readonly string[],
  signal?: AbortSignal,
): Promise<LookedBackups> {
  const looked: LookedBackups = { backups: [], lists: [], problems: [] };
  const places = new Map<string, number>();
  const placeOf = (list: ListChunk) => {
    const key = listKey(list);
    let place = places.get(key);
    if (place === undefined) places.set(key, place = looked.lists.push(list) - 1);
    return place;
  };
  const opened = await mapConcurrent(backupIds, CONCURRENCY, async (backupId) => {
    try {
      const { record, manifest } = await readAnyBackup(chunks, backupId, signal);
      return { backupId, name: record.manifest, lists: listChunksOf(manifest) };
    } catch (error) {
      return { backupId, ...damageOf(error, { orMissing: true }) };
    }
  });
  for (const each of opened) {
    const { backupId } = each;
    if ("code" in each) {
      const { code, message } = each;
      looked.problems.push({ object: backupPath(backupId), code, message, backups: [backupId] });
    } else {
      looked.backups.push({ backupId, manifest: each.name, lists: each.lists.map(placeOf) });
    }
  }
  return looked;
}

/** What a list is told apart by: the same chunk, said to hold other lines, is another one. */
export function listKey({ name, lines, refers }: ListChunk): string {
  return `${refers ? "refers" : "says"} ${lines} ${name}`;
}

/** @throws `object_altered` when a list is not as long as the manifest says */
function listChunksOf(manifest: Manifest): ListChunk[] {
  const lists: ListChunk[] = [];
  const add = (ref: LinesRef, refers: boolean) => {
    const lines = ref.chunks.reduce((sum, chunk) => sum + chunk.lines, 0);
    if (lines !== ref.lines) {
      throw altered("Cannot read lines: chunks of the list are missing");
    }
    for (const { name, lines, rawBytes } of ref.chunks) {
      lists.push({ name, lines, rawBytes, refers });
    }
  };
  if (manifest.type === "database") {
    add(manifest.entries, false);
    add(manifest.tableData, false);
    add(manifest.dataParts, true);
  } else {
    for (const { items } of manifest.pages) add(items, true);
    add(manifest.deleted, false);
  }
  return lists;
}

/**
 * Reads lists.
 *
 * @param options `into` is told of every chunk that they name, and of their own
 * @returns what is wrong with them
 */
export async function checkLists(
  chunks: ChunkStore,
  lists: readonly ListChunk[],
  { into, signal }: { into: ChunkEnds; signal?: AbortSignal },
): Promise<ListFinding[]> {
  const findings: ListFinding[] = [];
  await mapConcurrent([...lists.entries()], CONCURRENCY, async ([list, chunk]) => {
    signal?.throwIfAborted();
    if (isContentName(chunk.name)) noteEnd(into, keyOf(chunk.name), 0);
    try {
      for (const { object, bytes, pieces } of await referredBy(chunks, chunk, signal)) {
        if (pieces.reduce((sum, piece) => sum + piece.length, 0) !== bytes) {
          findings.push({ list, object, code: "object_altered", message: "Pieces miss bytes" });
        }
        for (const { chunk, offset, length } of pieces) {
          noteEnd(into, keyOf(chunk), offset + length);
        }
      }
    } catch (error) {
      findings.push({ list, object: null, ...damageOf(error) });
    }
  });
  return findings.sort((a, b) => a.list - b.list);
}

/**
 * Which of the chunks that interest each list names, itself included.
 *
 * @param options `most` names are given of each list
 */
export async function findInLists(
  chunks: ChunkStore,
  lists: readonly ListChunk[],
  { wanted, most, signal }: { wanted: ReadonlySet<bigint>; most: number; signal?: AbortSignal },
): Promise<string[][]> {
  return await mapConcurrent(lists, CONCURRENCY, async (list) => {
    const found = new Set<string>();
    const look = (name: string) => {
      if (found.size < most && isContentName(name) && wanted.has(keyOf(name))) found.add(name);
    };
    look(list.name);
    try {
      for (const { pieces } of await referredBy(chunks, list, signal)) {
        for (const { chunk } of pieces) look(chunk);
      }
    } catch (error) {
      damageOf(error); // told when the list was checked
    }
    return [...found];
  });
}

/** @throws the `object_*` codes when the list is not what its manifest says */
async function referredBy(
  chunks: ChunkStore,
  { name, lines, refers }: ListChunk,
  signal?: AbortSignal,
): Promise<Referred[]> {
  const found = fromUtf8(await chunks.read(name, signal)).split("\n");
  if (found.pop() !== "" || found.length !== lines) {
    throw altered(`Cannot read lines of chunk ${name}: wrong count`);
  }
  return found.flatMap((line) => {
    const value = parse(line, name);
    if (!refers) return [];
    const referred = referredByLine(value);
    if (referred === null) throw altered(`Cannot read lines of chunk ${name}: one names no pieces`);
    return referred;
  });
}

function parse(line: string, name: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw altered(`Cannot read lines of chunk ${name}: one is not JSON`, cause);
  }
}

/** Damage as a finding. @throws everything else: no answer, no right */
function damageOf(
  error: unknown,
  { orMissing = false }: { orMissing?: boolean } = {},
): { code: string; message: string } {
  const { code, message } = toBackupError(error);
  if (isDamage(code) || (orMissing && code === "backup_not_found")) return { code, message };
  throw error;
}

function altered(message: string, cause?: unknown): BackupError {
  return new BackupError("object_altered", message, cause === undefined ? {} : { cause });
}
