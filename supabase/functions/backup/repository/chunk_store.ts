/**
 * Chunks: content under the keyed hash of itself, stored once.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Piece } from "../core/model.ts";
import { unlessAborted } from "../core/unless_aborted.ts";
import { Buffers } from "./buffers.ts";
import type { ObjectStore, ReadOptions } from "./object_store.ts";
import { chunkPath, isContentName } from "./paths.ts";
import type { WrittenChunk } from "./types.ts";
import { addChunk, noTotals } from "./written_totals.ts";

/** Default size of a full chunk's content. */
export const CHUNK_BYTES = 8 * 1024 * 1024;

/** Chunks kept after reading: small pieces of one chunk mostly follow each other. */
const CACHED_CHUNKS = 3;

/** How `Repository.readPieces` reads. */
export interface ReadPiecesOptions {
  passing?: boolean;
  signal?: AbortSignal;
}

/** The content of a piece's chunk, and the memory that it is in if that is used again. */
interface PieceContent {
  chunk: Uint8Array;
  room?: Uint8Array;
}

/** Reads and writes chunks. */
export class ChunkStore {
  readonly objects: ObjectStore;
  readonly written = noTotals();
  /** For content on its way into chunks. */
  readonly buffers = new Buffers();
  readonly #known = new Set<string>();
  /** Writes under way, so that two writers of one content store it once. */
  readonly #writing = new Map<string, Promise<{ created: boolean; storedBytes: number }>>();
  readonly #cache = new Map<string, Promise<Uint8Array>>();

  constructor(objects: ObjectStore) {
    this.objects = objects;
  }

  remember(names: Iterable<string>): void {
    for (const name of names) this.#known.add(name);
  }

  async write(bytes: Uint8Array, signal?: AbortSignal): Promise<WrittenChunk> {
    signal?.throwIfAborted();
    const name = await this.objects.cipher.nameOf("chunk", bytes);
    const result = await this.#storeOnce(name, bytes, signal);
    if (!result.created) await this.extendLocks([name], signal);
    const chunk = { name, rawBytes: bytes.length, ...result };
    addChunk(this.written, chunk);
    return chunk;
  }

  /** See `Repository.extendLocks`. */
  async extendLocks(names: Iterable<string>, signal?: AbortSignal): Promise<void> {
    const { locks } = this.objects;
    if (!locks.active) return;
    try {
      await locks.extend(Array.from(names, chunkPath), signal);
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== "storage_missing") throw error;
      throw new BackupError("object_missing", "Cannot keep a chunk: it is not in the storage", {
        hint: "It was deleted behind the repository's back. Verify the repository.",
        cause: error,
      });
    }
  }

  async #storeOnce(name: string, bytes: Uint8Array, signal: AbortSignal | undefined) {
    const there = { created: false, storedBytes: 0 };
    if (this.#known.has(name)) return there;
    for (let other; (other = this.#writing.get(name)) !== undefined;) {
      // What ended that writer, such as its signal, need not end this one.
      if (await other.then(() => true, () => false)) return there;
    }
    const writing = this.#store(name, bytes, signal);
    this.#writing.set(name, writing);
    try {
      const result = await writing;
      this.#known.add(name);
      return result;
    } finally {
      this.#writing.delete(name);
    }
  }

  async #store(name: string, bytes: Uint8Array, signal: AbortSignal | undefined) {
    const path = chunkPath(name);
    // Asking first costs a short request and saves compressing and sending what is there.
    if (await this.objects.storage.head(path, signal)) return { created: false, storedBytes: 0 };
    return await this.objects.put(bytes, { kind: "chunk", path }, signal);
  }

  async read(name: string, signal?: AbortSignal): Promise<Uint8Array> {
    return (await this.readSized(name, { signal })).content;
  }

  async readSized(name: string, options: ReadOptions = {}) {
    if (!isContentName(name)) {
      throw new BackupError("object_altered", "Cannot read a chunk: the name has another form");
    }
    return await this.objects.getNamed({ kind: "chunk", path: chunkPath(name), name }, options);
  }

  /** As {@linkcode ChunkStore.read}, keeping the last few; who stops no longer waits for it. */
  async readCached(name: string, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    let reading = this.#cache.get(name);
    if (reading) {
      this.#cache.delete(name);
    } else {
      // Without the signal: whoever else waits for it does not stop with the one that asked first.
      reading = this.read(name);
      // A failed reading must not stay, and must not count as unhandled while it is read ahead.
      reading.catch(() => this.#cache.delete(name));
    }
    this.#cache.set(name, reading);
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= CACHED_CHUNKS) break;
      this.#cache.delete(oldest);
    }
    return await (signal === undefined ? reading : unlessAborted(reading, signal));
  }

  /** See `Repository.readPieces`. */
  async *readPieces(
    pieces: readonly Piece[],
    options: ReadPiecesOptions = {},
  ): AsyncIterable<Uint8Array> {
    let ahead: Promise<PieceContent> | undefined;
    for (const [index, piece] of pieces.entries()) {
      options.signal?.throwIfAborted();
      const { chunk, room } = await (ahead ?? this.#readPiece(piece, options));
      const next = pieces[index + 1];
      ahead = next && next.chunk !== piece.chunk ? this.#readPiece(next, options) : undefined;
      ahead?.catch(() => {}); // thrown again when it is its turn
      const end = piece.offset + piece.length;
      if (!(piece.offset >= 0 && piece.length >= 0 && end <= chunk.length)) {
        throw new BackupError(
          "object_altered",
          `Cannot read a piece of ${chunkPath(piece.chunk)}: it reaches past the end`,
        );
      }
      yield chunk.subarray(piece.offset, end);
      if (room !== undefined) this.buffers.give(room);
    }
  }

  async #readPiece(
    { chunk: name, offset, length }: Piece,
    { passing = false, signal }: ReadPiecesOptions,
  ): Promise<PieceContent> {
    // What is as long as this has its chunk for itself. Two readers of one chunk get a copy each.
    const isLarge = offset === 0 && length >= CHUNK_BYTES / 2 && length <= CHUNK_BYTES;
    if (passing && isLarge && this.objects.zstd !== undefined) {
      const room = this.buffers.take(CHUNK_BYTES);
      return { chunk: (await this.readSized(name, { room, signal })).content, room };
    }
    const chunk = await this.readCached(name, signal);
    // A whole chunk has no other reader: kept, a large value would need the more memory for nothing.
    if (length === chunk.length) this.#cache.delete(name);
    return { chunk };
  }
}
