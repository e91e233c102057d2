/**
 * The repository as one value: each method hands over to the file that does it.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import type { Piece } from "../core/model.ts";
import type { Secret } from "../core/secret.ts";
import {
  backupIds,
  chunksOf,
  commitBackup,
  isDamage,
  listBackups,
  missingChunks,
  newestMoment,
  readBackup,
} from "./backups.ts";
import { ChunkStore, type ReadPiecesOptions } from "./chunk_store.ts";
import { type Checking, openChecking } from "./checking.ts";
import { type Copying, openCopying } from "./copying.ts";
import { type Freeing, openFreeing } from "./freeing.ts";
import type { KeyRing } from "./key_ring.ts";
import { listDocuments, readDocument, removeDocument, writeDocument } from "./documents.ts";
import { readLines, writeLines } from "./lines.ts";
import { readLost } from "./lost_chunks.ts";
import type { ObjectStore } from "./object_store.ts";
import { claimOwner, readOwner } from "./owners.ts";
import { createPieceWriter } from "./piece_writer.ts";
import { commitPoint, listPoints, pointIds, readPoint } from "./points.ts";
import type {
  BackupFacts,
  BackupType,
  LinesRef,
  Manifest,
  RecoveryPoint,
  Repository,
  RepositoryOwner,
  VerifyOptions,
  WrittenTotals,
} from "./types.ts";
import { checkChunks, verifyBackups } from "./verify.ts";

/** Options that every long call takes. */
interface CallOptions {
  signal?: AbortSignal;
}

/** A repository whose objects are named by their content. */
export class ContentRepository implements Repository {
  readonly id: string;
  readonly #chunks: ChunkStore;
  readonly #keys: KeyRing | null;

  constructor(options: { id: string; objects: ObjectStore; keys: KeyRing | null }) {
    this.id = options.id;
    this.#chunks = new ChunkStore(options.objects);
    this.#keys = options.keys;
  }

  get location(): string {
    return this.#chunks.objects.storage.location;
  }

  get encrypted(): boolean {
    return this.#chunks.objects.cipher.encrypted;
  }

  get keyId(): string | null {
    return this.#keys?.openedBy ?? null;
  }

  get written(): WrittenTotals {
    return { ...this.#chunks.written };
  }

  writeChunk(bytes: Uint8Array, options: CallOptions = {}) {
    return this.#chunks.write(bytes, options.signal);
  }

  readChunk(name: string, options: CallOptions = {}) {
    return this.#chunks.read(name, options.signal);
  }

  pieceWriter(options: { targetBytes?: number; signal?: AbortSignal } = {}) {
    return createPieceWriter(this.#chunks, options);
  }

  readPieces(pieces: readonly Piece[], options: ReadPiecesOptions = {}) {
    return this.#chunks.readPieces(pieces, options);
  }

  writeLines(
    values: Iterable<unknown> | AsyncIterable<unknown>,
    options: CallOptions & { written?: WrittenTotals } = {},
  ) {
    return writeLines(this.#chunks, values, options);
  }

  readLines<T>(ref: LinesRef, options: CallOptions = {}) {
    return readLines<T>(this.#chunks, ref, options.signal);
  }

  missingChunks(names: Iterable<string>, options: CallOptions = {}) {
    return missingChunks(this.#chunks, names, options.signal);
  }

  rememberChunks(names: Iterable<string>): void {
    this.#chunks.remember(names);
  }

  extendLocks(names: Iterable<string>, options: CallOptions = {}): Promise<void> {
    return this.#chunks.extendLocks(names, options.signal);
  }

  async rememberBackup(
    idOrLatest: string,
    options: CallOptions & { type?: BackupType } = {},
  ): Promise<string | null> {
    try {
      const { manifest } = await this.readBackup(idOrLatest, options);
      const lost = await readLost(this.#chunks.objects, options.signal);
      const names: string[] = [];
      for await (const name of chunksOf(this.#chunks, manifest, options.signal)) {
        if (!lost.has(name)) names.push(name);
      }
      this.rememberChunks(names);
      return manifest.backupId;
    } catch (error) {
      // Remembering only saves work: a damaged parent is no reason not to make a new backup.
      const { code } = toBackupError(error);
      if (isDamage(code) || code === "backup_not_found") return null;
      throw error;
    }
  }

  commitBackup<M extends Manifest>(manifest: M, facts: BackupFacts, options: CallOptions = {}) {
    return commitBackup(this.#chunks, manifest, { ...options, facts });
  }

  listBackups(options: { limit?: number; ids?: readonly string[]; signal?: AbortSignal } = {}) {
    return listBackups(this.#chunks, options);
  }

  backupIds(options: CallOptions = {}) {
    return backupIds(this.#chunks, options.signal);
  }

  newestMoment(options: CallOptions = {}) {
    return newestMoment(this.#chunks, options.signal);
  }

  readBackup<T extends BackupType = "database">(
    idOrLatest: string,
    options: CallOptions & { type?: T } = {},
  ) {
    return readBackup(this.#chunks, idOrLatest, options);
  }

  checkChunks(
    names: readonly string[],
    options: { concurrency?: number; signal?: AbortSignal } = {},
  ) {
    return checkChunks(this.#chunks, names, options);
  }

  verify(options: VerifyOptions) {
    return verifyBackups(this.#chunks, options);
  }

  get checking(): Checking {
    return openChecking(this.#chunks);
  }

  commitPoint(point: RecoveryPoint, options: CallOptions = {}) {
    return commitPoint(this.#chunks.objects, point, options.signal);
  }

  listPoints(options: { limit?: number; ids?: readonly string[]; signal?: AbortSignal } = {}) {
    return listPoints(this.#chunks.objects, options);
  }

  pointIds(options: CallOptions = {}) {
    return pointIds(this.#chunks.objects, options.signal);
  }

  readPoint(idOrLatest: string, options: CallOptions = {}) {
    return readPoint(this.#chunks.objects, idOrLatest, options.signal);
  }

  copyingTo(copy: Repository): Copying {
    if (copy instanceof ContentRepository && copy.id === this.id) {
      return openCopying(this.#chunks, copy.#chunks);
    }
    throw new BackupError("conflict", `Cannot copy to ${copy.location}: it is another repository`);
  }

  get freeing(): Freeing {
    return openFreeing(this.#chunks);
  }

  freeingBy(clock: Clock): Freeing {
    return openFreeing(this.#chunks, clock);
  }

  writeDocument(document: { name: string; value: unknown }, options: CallOptions = {}) {
    return writeDocument(this.#chunks.objects, document, options.signal);
  }

  readDocument(name: string, options: CallOptions = {}) {
    return readDocument(this.#chunks.objects, name, options.signal);
  }

  listDocuments(folder: string, options: CallOptions = {}) {
    return listDocuments(this.#chunks.objects, folder, options.signal);
  }

  async removeDocument(name: string, options: CallOptions = {}) {
    return await removeDocument(this.#chunks.objects, name, options.signal);
  }

  async owner(options: CallOptions = {}): Promise<RepositoryOwner | null> {
    return (await readOwner(this.#chunks.objects, options.signal))?.owner ?? null;
  }

  claimOwner(
    writer: RepositoryOwner,
    options: { takeOver?: boolean; signal?: AbortSignal } = {},
  ): Promise<void> {
    return claimOwner(this.#chunks.objects, writer, options);
  }

  async listKeys() {
    return await this.#keys?.list() ?? [];
  }

  async addKey(key: Secret, options: { label?: string } = {}) {
    return await this.#ring().add(key, options.label ?? null);
  }

  async removeKey(id: string) {
    await this.#ring().remove(id);
  }

  #ring(): KeyRing {
    if (this.#keys) return this.#keys;
    throw new BackupError("conflict", "Cannot change keys: the repository is not encrypted");
  }
}
