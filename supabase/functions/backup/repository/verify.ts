/**
 * Verifying: reading back what is stored.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import { refuseOversized } from "../storage/oversized.ts";
import { backupIds, chunksOf, isDamage, linesOf, readAnyBackup, referredOf } from "./backups.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { findDamagedKeys } from "./key_ring.ts";
import { readLines } from "./lines.ts";
import { mapConcurrent } from "./map_concurrent.ts";
import { missingObject } from "./object_store.ts";
import { MAX_STORED_BYTES, OVERHEAD_BYTES } from "./object.ts";
import { findDamagedOwners } from "./owners.ts";
import { backupPath, baseName, chunkPath, CHUNKS, pointPath } from "./paths.ts";
import { listPoints } from "./points.ts";
import type { CheckedChunk, Manifest, VerifyOptions, VerifyReport } from "./types.ts";

/** Chunks read at once unless the caller says otherwise. */
const CONCURRENCY = 4;

/** What is known of a chunk that was looked at. */
interface Looked {
  rawBytes: number | null;
  problem: VerifyReport["problems"][number] | null;
}

/** See `Repository.verify`. */
export async function verifyBackups(
  chunks: ChunkStore,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const backups = options.backups ?? await backupIds(chunks, options.signal);
  const run = new Verification(chunks, options, backups);
  await run.listChunks();
  if (options.backups === undefined) await run.checkOwnFiles();
  for (const backupId of backups) await run.checkBackup(backupId);
  return run.report;
}

/** See `Repository.checkChunks`. */
export async function checkChunks(
  chunks: ChunkStore,
  names: readonly string[],
  { concurrency = CONCURRENCY, signal }: { concurrency?: number; signal?: AbortSignal },
): Promise<CheckedChunk[]> {
  const checked = new Map<string, CheckedChunk>();
  await mapConcurrent(names, concurrency, async (name) => {
    signal?.throwIfAborted();
    try {
      const { content, storedBytes } = await chunks.readSized(name, { signal });
      checked.set(name, { name, rawBytes: content.length, storedBytes, problem: null });
    } catch (error) {
      const { code, message } = toBackupError(error);
      if (!isDamage(code)) throw error;
      checked.set(name, { name, rawBytes: null, storedBytes: 0, problem: { code, message } });
    }
  });
  return names.map((name) => checked.get(name)!);
}

class Verification {
  readonly report: VerifyReport;
  readonly #chunks: ChunkStore;
  readonly #options: VerifyOptions;
  readonly #sizes = new Map<string, number>();
  readonly #looked = new Map<string, Looked>();
  #backupsDone = 0;

  constructor(chunks: ChunkStore, options: VerifyOptions, backups: string[]) {
    this.#chunks = chunks;
    this.#options = options;
    this.report = {
      level: options.level,
      backups,
      objectsChecked: 0,
      bytesRead: 0,
      problems: [],
    };
  }

  async listChunks(): Promise<void> {
    const { storage } = this.#chunks.objects;
    for await (const { name, sizeBytes } of storage.list(CHUNKS, this.#options.signal)) {
      this.#sizes.set(baseName(name), sizeBytes);
    }
  }

  /** Keys, owners, recovery points: what cannot be read there stops nobody at once, so it is told here. */
  async checkOwnFiles(): Promise<void> {
    const { objects } = this.#chunks;
    const { signal } = this.#options;
    for (
      const find of [findDamagedOwners(objects, signal), findDamagedKeys(objects.storage, signal)]
    ) {
      for (const [object, { code, message }] of await find) {
        this.report.problems.push({ object, code, message, backups: [] });
      }
    }
    const { points, damaged } = await listPoints(objects, signal === undefined ? {} : { signal });
    this.report.objectsChecked += points.length + damaged.length;
    for (const { pointId, code, message } of damaged) {
      this.report.problems.push({ object: pointPath(pointId), code, message, backups: [] });
    }
  }

  async checkBackup(backupId: string): Promise<void> {
    const { signal, concurrency = CONCURRENCY } = this.#options;
    await this.#find(backupPath(backupId), backupId, async () => {
      const { manifest } = await readAnyBackup(this.#chunks, backupId, signal);
      this.report.objectsChecked += 2;
      // The manifest's own lines first: an unreadable list of parts hides the chunks it names.
      const own = linesOf(manifest).flatMap((ref) => ref.chunks.map(({ name }) => name));
      await mapConcurrent(own, concurrency, (name) => this.#look(name, backupId));
      const rest: string[] = [];
      for await (const name of chunksOf(this.#chunks, manifest, signal)) rest.push(name);
      await mapConcurrent(rest, concurrency, (name) => this.#look(name, backupId));
      await this.#checkLines(manifest, backupId);
    });
    this.#backupsDone++;
    this.#tell(backupId);
  }

  /** Checks what the lists say against themselves and against the chunks. */
  async #checkLines(manifest: Manifest, backupId: string): Promise<void> {
    const { signal } = this.#options;
    for (const ref of linesOf(manifest)) {
      for await (const _ of readLines(this.#chunks, ref, signal)) { /* counted by the reader */ }
    }
    for await (const { object, bytes, pieces } of referredOf(this.#chunks, manifest, signal)) {
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
      if (length !== bytes) {
        this.#add({ object, code: "object_altered", message: "Pieces miss bytes" }, backupId);
      }
      for (const { chunk, offset, length } of pieces) {
        const rawBytes = this.#looked.get(chunk)?.rawBytes ?? null;
        if (rawBytes !== null && offset + length > rawBytes) {
          const message = "A piece reaches past the end of the chunk";
          this.#add({ object: chunkPath(chunk), code: "object_altered", message }, backupId);
        }
      }
    }
  }

  /** Looks at a chunk, once in a verification however many backups refer to it. */
  async #look(name: string, backupId: string): Promise<void> {
    const before = this.#looked.get(name);
    if (before) {
      const { problem } = before;
      if (problem && !problem.backups.includes(backupId)) problem.backups.push(backupId);
      return;
    }
    const looked: Looked = { rawBytes: null, problem: null };
    this.#looked.set(name, looked);
    this.report.objectsChecked++;
    const path = chunkPath(name);
    looked.problem = await this.#find(path, backupId, async () => {
      const size = this.#sizes.get(name);
      if (size === undefined) throw missingObject(path);
      refuseOversized(path, size, MAX_STORED_BYTES);
      if (this.#options.level === "full" || size < OVERHEAD_BYTES) {
        const { content, storedBytes } = await this.#chunks.readSized(name, {
          signal: this.#options.signal,
        });
        looked.rawBytes = content.length;
        this.report.bytesRead += storedBytes;
      }
    });
    this.#tell(backupId);
  }

  /** Runs a check; damage becomes a problem, anything else (no answer, no right) ends the whole. */
  async #find(object: string, backupId: string, check: () => Promise<void>) {
    this.#options.signal?.throwIfAborted();
    try {
      await check();
      return null;
    } catch (error) {
      const { code, message } = toBackupError(error);
      if (!isDamage(code) && code !== "backup_not_found") throw error;
      return this.#add({ object, code, message }, backupId);
    }
  }

  #add(found: { object: string; code: string; message: string }, backupId: string) {
    const problem = { ...found, backups: [backupId] };
    this.report.problems.push(problem);
    return problem;
  }

  #tell(backupId: string): void {
    this.#options.onProgress?.({
      phase: `verifying ${backupId}`,
      partsDone: this.#backupsDone,
      partsTotal: this.report.backups.length,
      bytesDone: this.report.bytesRead,
      bytesTotal: null,
    });
  }
}
