/**
 * Backups as a whole: committing, listing and opening them.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { startStopwatch } from "../core/clock.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import { isJobId, isPointId, momentOfJobId, typeOfJobId } from "../core/ids.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { keepFromFreeing } from "./keep_from_freeing.ts";
import { readLines } from "./lines.ts";
import { noteLost } from "./lost_chunks.ts";
import { mapConcurrent } from "./map_concurrent.ts";
import { missingObject, type ObjectStore } from "./object_store.ts";
import {
  backupPath,
  BACKUPS,
  baseName,
  chunkPath,
  CHUNKS,
  isContentName,
  KEYS,
  manifestPath,
  MANIFESTS,
  OWNERS,
  REPOSITORY_FILE,
} from "./paths.ts";
import { type Referred, referredByLine } from "./referred.ts";
import { isManifest, isRecord } from "./stored_form.ts";
import type {
  BackupFacts,
  BackupList,
  BackupRecord,
  BackupType,
  LinesRef,
  Manifest,
  OpenedBackup,
  RecordOf,
} from "./types.ts";

/** Requests for single objects at once. */
const CONCURRENCY = 8;
/** Half of the shortest grace between a plan of what may be deleted and its use. */
const LONGEST_COMMIT_MS = 30 * 60_000;
/** Up to so many chunks are asked for one by one; more are found by listing. */
const ASK_SINGLY = 64;

/** Lists of lines that a manifest itself names. */
export function linesOf(manifest: Manifest): LinesRef[] {
  if (manifest.type === "database") {
    return [manifest.entries, manifest.tableData, manifest.dataParts];
  }
  return [...manifest.pages.map(({ items }) => items), manifest.deleted];
}

/** All rows or contents of a backup, by its lines. @throws `object_altered` for a line that names no pieces */
export async function* referredOf(
  chunks: ChunkStore,
  manifest: Manifest,
  signal?: AbortSignal,
): AsyncIterable<Referred> {
  const lists = manifest.type === "database"
    ? [manifest.dataParts]
    : manifest.pages.map(({ items }) => items);
  for (const list of lists) {
    for await (const line of readLines<unknown>(chunks, list, signal)) {
      const referred = referredByLine(line);
      if (referred === null) throw altered("lines of the backup", "one names no pieces");
      yield* referred;
    }
  }
}

/** Everything that a manifest refers to, each name once. */
export async function* chunksOf(
  chunks: ChunkStore,
  manifest: Manifest,
  signal?: AbortSignal,
): AsyncIterable<string> {
  const seen = new Set<string>();
  for (const ref of linesOf(manifest)) {
    for (const { name } of ref.chunks) {
      if (!seen.has(name)) yield name;
      seen.add(name);
    }
  }
  for await (const { pieces } of referredOf(chunks, manifest, signal)) {
    for (const { chunk } of pieces) {
      if (!seen.has(chunk)) yield chunk;
      seen.add(chunk);
    }
  }
}

/** See `Repository.commitBackup`. */
export async function commitBackup<M extends Manifest>(
  chunks: ChunkStore,
  manifest: M,
  options: { facts: BackupFacts; signal?: AbortSignal },
): Promise<RecordOf<M["type"]>> {
  const { facts, signal } = options;
  const { objects } = chunks;
  if (!isJobId(manifest.backupId) || typeOfJobId(manifest.backupId) !== manifest.type) {
    throw new BackupError("invalid_request", "Cannot commit a backup: its id has another form");
  }
  const { backupId } = manifest;
  const referred = await referredChunks(chunks, manifest, signal).catch(async (error) => {
    // A list that is lost itself has to be noted too.
    const lists = linesOf(manifest).flatMap((ref) => ref.chunks.map((chunk) => chunk.name));
    if (error?.code === "object_missing") await checkComplete(chunks, lists, { backupId, signal });
    throw error;
  });
  const content = utf8(JSON.stringify(manifest));
  const name = await objects.cipher.nameOf("manifest", content);
  // First what is needed, then whether it is there: what was freed before is found missing.
  const kept = { backupId, chunks: referred, manifest: name, signal };
  const sinceKeptMs = startStopwatch(objects.clock);
  await keepFromFreeing(objects, kept);
  await checkComplete(chunks, referred, { backupId, signal });
  await objects.put(content, { kind: "manifest", path: manifestPath(name) }, signal);
  await keepFoundation(objects, signal);
  const record = recordOf(manifest, { facts, name, manifestBytes: content.length });
  const path = backupPath(manifest.backupId);
  const text = JSON.stringify(record);
  if (sinceKeptMs() > LONGEST_COMMIT_MS) throw tooSlow();
  const { created } = await objects.put(utf8(text), { kind: "backup", path }, signal);
  if (!created && fromUtf8(await objects.get({ kind: "backup", path }, signal)) !== text) {
    throw new BackupError(
      "conflict",
      `Cannot commit ${manifest.backupId}: another backup has this id`,
    );
  }
  return record as RecordOf<M["type"]>;
}

/** A plan that was made since may be used by now: what is needed has to be said again. */
function tooSlow(): BackupError {
  return new BackupError("storage_busy", "Cannot commit the backup: the storage was too slow", {
    hint: "Start the backup again: what it has stored is used.",
  });
}

/** What every backup needs to be opened is locked for as long as the newest of them. */
export async function keepFoundation(
  { locks, storage }: ObjectStore,
  signal?: AbortSignal,
): Promise<void> {
  if (!locks.active) return;
  const paths = [REPOSITORY_FILE];
  for (const prefix of [KEYS, OWNERS]) {
    for await (const { name } of storage.list(prefix, signal)) paths.push(name);
  }
  await locks.extend(paths, signal);
}

function recordOf(
  manifest: Manifest,
  { facts, name, manifestBytes }: { facts: BackupFacts; name: string; manifestBytes: number },
): BackupRecord {
  const { backupId, createdAt } = manifest;
  const { completedAt, reason, origin, writtenBy } = facts;
  const head = { format: 1 as const, backupId, type: manifest.type, createdAt, completedAt };
  const more = { reason, origin, manifest: name, manifestBytes };
  if (manifest.type === "database") {
    const { type, source, consistency, totals } = manifest;
    return { ...head, type, ...more, source, consistency, totals, writtenBy };
  }
  const { type, source, totals } = manifest;
  const remarks = [
    ...source.missing.map(({ what, failure }) => `${what} could not be saved: ${failure.message}`),
    ...source.skipped.map(({ what, reason }) => `${what} was left out: ${reason}`),
    ...(totals.failed === 0 ? [] : [`${totals.failed} items could not be saved; each says why`]),
  ];
  const partial = source.missing.length > 0 || totals.failed > 0;
  const { projectRef } = source;
  return { ...head, type, ...more, source: { projectRef }, partial, remarks, totals, writtenBy };
}

/** Nothing may be listed that cannot be restored, whatever happened to chunks known from before. */
async function checkComplete(
  chunks: ChunkStore,
  referred: Iterable<string>,
  { backupId, signal }: { backupId: string; signal: AbortSignal | undefined },
): Promise<void> {
  const missing = [...await missingChunks(chunks, referred, signal)];
  if (missing[0] === undefined) return;
  await noteLost(chunks.objects, { backupId, chunks: missing, signal });
  throw missingObject(chunkPath(missing[0]));
}

/** All chunks of a backup; pages of items that name theirs are not read for it. */
export async function referredChunks(
  chunks: ChunkStore,
  manifest: Manifest,
  signal: AbortSignal | undefined,
): Promise<Set<string>> {
  const names = new Set<string>();
  const isKnown = manifest.type !== "database" &&
    manifest.pages.every((page) => page.chunks !== undefined);
  if (!isKnown) {
    for await (const name of chunksOf(chunks, manifest, signal)) names.add(name);
    return names;
  }
  for (const ref of linesOf(manifest)) for (const { name } of ref.chunks) names.add(name);
  for (const page of manifest.pages) for (const name of page.chunks ?? []) names.add(name);
  return names;
}

/** See `Repository.missingChunks`. */
export async function missingChunks(
  chunks: ChunkStore,
  names: Iterable<string>,
  signal?: AbortSignal,
): Promise<Set<string>> {
  const missing = new Set(names);
  const { storage } = chunks.objects;
  if (missing.size <= ASK_SINGLY) {
    await mapConcurrent([...missing].filter(isContentName), CONCURRENCY, async (name) => {
      if (await storage.head(chunkPath(name), signal)) missing.delete(name);
    });
  } else {
    for await (const object of storage.list(CHUNKS, signal)) missing.delete(baseName(object.name));
  }
  return missing;
}

/** See `Repository.listBackups`. */
export async function listBackups(
  chunks: ChunkStore,
  options: { limit?: number; ids?: readonly string[]; signal?: AbortSignal } = {},
): Promise<BackupList> {
  const { limit = Infinity, signal } = options;
  const { storage } = chunks.objects;
  const ids = options.ids ?? (await backupIds(chunks, signal)).slice(0, limit);
  const manifests = new Set<string>();
  if (ids.length > ASK_SINGLY) {
    for await (const object of storage.list(MANIFESTS, signal)) {
      manifests.add(baseName(object.name));
    }
  }
  const list: BackupList = { backups: [], damaged: [] };
  const found = await mapConcurrent(ids, CONCURRENCY, async (backupId) => {
    try {
      const record = await readRecord(chunks, backupId, signal);
      const path = manifestPath(record.manifest);
      const there = manifests.has(record.manifest) || await storage.head(path, signal) !== null;
      if (!there) throw missingObject(path);
      return record;
    } catch (error) {
      const { code, message } = toBackupError(error);
      // Damage is a finding; a storage that does not answer is not.
      if (!isDamage(code)) throw error;
      return { backupId, code, message };
    }
  });
  for (const item of found) {
    if ("code" in item) list.damaged.push(item);
    else list.backups.push(item);
  }
  return list;
}

/** See `Repository.readBackup`. */
export async function readBackup<T extends BackupType = "database">(
  chunks: ChunkStore,
  idOrLatest: string,
  { type, signal }: { type?: T; signal?: AbortSignal } = {},
): Promise<OpenedBackup<T>> {
  const wanted = type ?? "database";
  const backupId = idOrLatest === "latest" ? await latestId(chunks, wanted, signal) : idOrLatest;
  if (isJobId(backupId) && typeOfJobId(backupId) !== wanted) {
    throw notFound(backupId, `it is one of type ${typeOfJobId(backupId)}, not ${wanted}`);
  }
  return await readAnyBackup(chunks, backupId, signal) as OpenedBackup<T>;
}

/** Opens a backup of whatever type. @throws as `Repository.readBackup` */
export async function readAnyBackup(
  chunks: ChunkStore,
  backupId: string,
  signal?: AbortSignal,
): Promise<{ record: BackupRecord; manifest: Manifest }> {
  if (!isJobId(backupId) || !await chunks.objects.storage.head(backupPath(backupId), signal)) {
    throw notFound(backupId, "there is none of this id");
  }
  const record = await readRecord(chunks, backupId, signal);
  const place = { kind: "manifest" as const, path: manifestPath(record.manifest) };
  const { content } = await chunks.objects.getNamed({ ...place, name: record.manifest }, {
    signal,
  });
  const manifest = parse(content, place.path);
  if (!isManifest(manifest)) throw altered(place.path, "it is not of a manifest's form");
  if (manifest.backupId !== backupId) throw altered(place.path, "it is another backup's");
  if (manifest.type !== typeOfJobId(backupId)) throw altered(place.path, "it is of another type");
  return { record, manifest };
}

function notFound(backupId: string, why: string): BackupError {
  return new BackupError("backup_not_found", `Cannot open the backup: ${why}`, {
    hint: isPointId(backupId)
      ? "That is a recovery point: restore it with type all, or use the id of one of its backups " +
        "(action=recovery-points)."
      : "List the backups and use one of their ids, or `latest`.",
    details: { backupId },
  });
}

async function readRecord(
  chunks: ChunkStore,
  backupId: string,
  signal: AbortSignal | undefined,
): Promise<BackupRecord> {
  const path = backupPath(backupId);
  const content = await chunks.objects.get({ kind: "backup", path }, signal);
  const record = parse(content, path);
  if (!isRecord(record)) throw altered(path, "it is not of a record's form");
  if (record.backupId !== backupId) throw altered(path, "it is another backup's");
  if (record.type !== typeOfJobId(backupId)) throw altered(path, "it is of another type");
  return record;
}

function parse(content: Uint8Array, path: string): unknown {
  let value: { format?: unknown } | null;
  try {
    value = JSON.parse(fromUtf8(content));
  } catch (cause) {
    throw altered(path, "it is not JSON", cause);
  }
  if (value?.format !== 1) throw unknownFormat(path);
  return value;
}

/** Ids, newest first: the moment follows the prefix. */
export async function backupIds(chunks: ChunkStore, signal?: AbortSignal): Promise<string[]> {
  const ids: string[] = [];
  for await (const { name } of chunks.objects.storage.list(BACKUPS, signal)) {
    if (isJobId(baseName(name))) ids.push(baseName(name));
  }
  const moment = (id: string) => id.slice(id.indexOf("_") + 1);
  return ids.sort((a, b) => (moment(a) < moment(b) ? 1 : -1));
}

/** See `Repository.newestMoment`. */
export async function newestMoment(
  chunks: ChunkStore,
  signal?: AbortSignal,
): Promise<Date | null> {
  for (const id of await backupIds(chunks, signal)) {
    const moment = momentOfJobId(id);
    if (moment !== null) return moment;
  }
  return null;
}

async function latestId(
  chunks: ChunkStore,
  type: BackupType,
  signal: AbortSignal | undefined,
): Promise<string> {
  const ids = await backupIds(chunks, signal);
  const latest = ids.find((id) => !id.startsWith("safety_") && typeOfJobId(id) === type);
  if (latest !== undefined) return latest;
  const what = type === "database" ? "" : ` of type ${type}`;
  throw new BackupError(
    "backup_not_found",
    `Cannot open the latest backup${what}: there is none yet`,
    { hint: "Make a backup first. Safety backups of restores count only by their id." },
  );
}

/** Whether a code speaks of the stored bytes rather than of reaching them. */
export function isDamage(code: string): boolean {
  return code.startsWith("object_") || code === "repository_format";
}

function altered(path: string, why: string, cause?: unknown): BackupError {
  return new BackupError("object_altered", `Cannot read ${path}: ${why}`, {
    hint: "Verify the repository; use another backup or copy.",
    ...(cause === undefined ? {} : { cause }),
  });
}

function unknownFormat(path: string): BackupError {
  return new BackupError("repository_format", `Cannot read ${path}: unknown format`, {
    hint: "Use a newer release of this software.",
  });
}
