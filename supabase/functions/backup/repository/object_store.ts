/**
 * Sealed objects over a storage: the layer that turns the storage's faults into the repository's.
 *
 * @module
 */
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import type { Storage } from "../storage/storage.ts";
import { Buffers } from "./buffers.ts";
import type { Cipher } from "./cipher.ts";
import { authenticateObject, MAX_STORED_BYTES, openObject, sealObject } from "./object.ts";
import { ObjectLocks } from "./object_locks.ts";
import type { Compression, GzipCompress, ObjectKind, ZstdCodec } from "./types.ts";

/** Where an object is and what it is. */
export interface ObjectPlace {
  kind: ObjectKind;
  path: string;
}

/** Content of a size that one room serves: chunks of rows. */
const ROOM_FOR = { least: 512 * 1024, most: 8 * 1024 * 1024 };
/** The longest object of such content, with what zstd may need to make it. */
const ROOM_BYTES = ROOM_FOR.most + 64 * 1024;

/** How an object is read. */
export interface ReadOptions {
  /** Memory that the content may be put into. */
  room?: Uint8Array | undefined;
  signal?: AbortSignal | undefined;
}

/** Reads and writes sealed objects. */
export class ObjectStore {
  readonly storage: Storage;
  readonly cipher: Cipher;
  readonly compression: Compression;
  readonly zstd: ZstdCodec | undefined;
  readonly gzip: GzipCompress | undefined;
  readonly locks: ObjectLocks;
  readonly clock: Clock;
  /** In which large objects are put together. */
  readonly #rooms = new Buffers();

  constructor(options: {
    storage: Storage;
    cipher: Cipher;
    compression: Compression;
    zstd?: ZstdCodec | undefined;
    gzip?: GzipCompress | undefined;
    clock?: Clock;
  }) {
    this.storage = options.storage;
    this.clock = options.clock ?? systemClock;
    this.locks = new ObjectLocks(options.storage, this.clock);
    this.cipher = options.cipher;
    this.compression = options.compression;
    this.zstd = options.zstd;
    this.gzip = options.gzip;
  }

  /** Stores content unless the path is taken; `storedBytes` is 0 then. */
  async put(
    content: Uint8Array,
    place: ObjectPlace,
    signal?: AbortSignal,
  ): Promise<{ created: boolean; storedBytes: number }> {
    const { cipher, compression, zstd, gzip } = this;
    const room = this.#roomFor(content);
    const sealed = await sealObject(content, { ...place, cipher, compression, zstd, gzip, room });
    const { created } = await this.putSealed(place.path, sealed, signal);
    if (room !== undefined) this.#rooms.give(room);
    return { created, storedBytes: created ? sealed.length : 0 };
  }

  /** Deletes an object; one that a lock holds stays. @throws `storage_unreachable` */
  async deleteUnlessLocked(path: string, signal?: AbortSignal): Promise<boolean> {
    try {
      await this.storage.delete(path, signal);
      return true;
    } catch (error) {
      if (error instanceof BackupError && error.code === "storage_refused") return false;
      throw error;
    }
  }

  /** Content of an object. @throws `object_missing`, `object_truncated`, `object_altered`, `object_swapped` */
  async get(place: ObjectPlace, signal?: AbortSignal): Promise<Uint8Array> {
    const { content } = await this.getSized(place, { signal });
    return content;
  }

  /** As {@linkcode ObjectStore.get}, with the number of bytes that were read from storage. */
  async getSized(
    place: ObjectPlace,
    { room, signal }: ReadOptions = {},
  ): Promise<{ content: Uint8Array; storedBytes: number }> {
    // Who has room for the content lets it go soon, so there are as many rooms for what is read.
    const from = room === undefined ? undefined : this.#rooms.take(ROOM_BYTES);
    const stored = await this.#read(place.path, { room: from, signal });
    const { cipher, zstd } = this;
    const content = await openObject(stored, { ...place, cipher, zstd, room });
    // What was stored as it is stays where it was read.
    if (from !== undefined && content.buffer !== from.buffer) this.#rooms.give(from);
    return { content, storedBytes: stored.length };
  }

  /** As {@linkcode ObjectStore.get}, for objects named by their content, which is hashed again. */
  async getNamed(
    place: ObjectPlace & { name: string },
    options: ReadOptions = {},
  ): Promise<{ content: Uint8Array; storedBytes: number }> {
    const found = await this.getSized(place, options);
    if (await this.cipher.nameOf(place.kind, found.content) !== place.name) {
      throw new BackupError(
        "object_altered",
        `Cannot read ${place.path}: its content is not what its name says`,
        { hint: "Use another backup or copy.", details: { path: place.path } },
      );
    }
    return found;
  }

  /** An object as it is stored, once it is proved to be whole. @throws as {@linkcode ObjectStore.get} */
  async getSealed(place: ObjectPlace, signal?: AbortSignal): Promise<Uint8Array> {
    const stored = await this.#read(place.path, { signal });
    await authenticateObject(stored, { ...place, cipher: this.cipher });
    return stored;
  }

  /** Stores an object as another storage of the same repository has it, unless the path is taken. */
  async putSealed(
    path: string,
    sealed: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ created: boolean }> {
    const { created } = await this.locks.storing(
      path,
      () => this.storage.put(path, sealed, signal),
    );
    if (!created) await this.locks.extend([path], signal);
    return { created };
  }

  /** Only the libraries of a host put an object together in memory that they are given. */
  #roomFor(content: Uint8Array): Uint8Array | undefined {
    const isFitting = content.length >= ROOM_FOR.least && content.length <= ROOM_FOR.most;
    return this.zstd !== undefined && isFitting ? this.#rooms.take(ROOM_BYTES) : undefined;
  }

  async #read(path: string, { room, signal }: ReadOptions): Promise<Uint8Array> {
    try {
      return await this.storage.get(path, {
        maxBytes: MAX_STORED_BYTES,
        ...(room ? { room } : {}),
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      if (error instanceof BackupError && error.code === "storage_missing") {
        throw missingObject(path, error);
      }
      throw error;
    }
  }
}

/** The error of an object that should be there. */
export function missingObject(path: string, cause?: unknown): BackupError {
  return new BackupError("object_missing", `Cannot read ${path}: it is not in the storage`, {
    hint: "It was deleted or never copied. Verify the repository; use another backup or copy.",
    details: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}
