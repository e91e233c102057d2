/**
 * What the repository shows to the layers above it.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import type { Piece } from "../core/model.ts";
import type { ProgressListener } from "../core/progress.ts";
import type { Secret } from "../core/secret.ts";
import type { Checking } from "./checking.ts";
import type { Copying } from "./copying.ts";
import type { Freeing } from "./freeing.ts";
import type {
  BackupRecord,
  BackupType,
  LinesRef,
  Manifest,
  ManifestOf,
  PointList,
  RecordOf,
  RecoveryPoint,
} from "./records.ts";

export type * from "./records.ts";

/** Compression of new objects. */
export interface Compression {
  algorithm: "zstd" | "gzip" | "none";
  /** zstd 1–19, gzip 1–9; ignored for none. */
  level: number;
}

/** A program for zstd. */
export interface ZstdCodec {
  /**
   * One frame that states its content's length.
   * @param level 1–19
   * @param room memory that the frame may be put into, if it can be no longer
   */
  compress(bytes: Uint8Array, level: number, room?: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /**
   * The content of a frame whose header states this length.
   * @param room memory at least as long that it may be put into
   * @throws when it is no such frame
   */
  decompress(
    bytes: Uint8Array,
    length: number,
    room?: Uint8Array,
  ): Uint8Array | Promise<Uint8Array>;
}

/** A program that writes gzip. @param level 1–9 */
export type GzipCompress = (bytes: Uint8Array, level: number) => Uint8Array;

/** A program for HMAC-SHA-256: takes a key and gives what makes 32 bytes of any content. */
export type HmacSha256 = (
  key: Uint8Array,
) => (content: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** A program for AES-256-GCM: takes a key and gives what seals and opens with it. */
export type AesGcm = (key: Uint8Array) => {
  /**
   * The associated data as they are, the encrypted payload and the tag of 16 bytes, in one piece.
   * @param room memory that it may be put into, if it is long enough; the payload may be in its place there
   */
  seal(
    payload: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    room?: Uint8Array,
  ): Uint8Array;
  /** The payload, in the memory of what was sealed; null when the tag at its end does not fit. */
  open(sealed: Uint8Array, nonce: Uint8Array, associated: Uint8Array): Uint8Array | null;
};

/** What kind of content an object holds; part of what its authentication covers. */
export type ObjectKind = "chunk" | "manifest" | "backup" | "owner" | "point" | "document" | "freed";

/** A chunk as written. */
export interface WrittenChunk {
  /** Keyed hash of kind and content: 64 hexadecimal digits. */
  name: string;
  rawBytes: number;
  /** Bytes in storage; 0 when the chunk was there already. */
  storedBytes: number;
  /** Whether this call stored it. */
  created: boolean;
}

/** Whose repository it is (requirements: the project's identity). */
export interface RepositoryOwner {
  /** Supabase project ref, null outside Supabase. */
  projectRef: string | null;
  /** PostgreSQL's system identifier and the database's name; null until the first backup. */
  systemIdentifier: string | null;
  database: string | null;
}

/** What a verification found. */
export interface VerifyReport {
  level: "quick" | "full";
  backups: string[];
  objectsChecked: number;
  bytesRead: number;
  /** Empty when all is well. */
  problems: { object: string; code: string; message: string; backups: string[] }[];
}

/** What the caller of `commitBackup` knows beyond the manifest. */
export interface BackupFacts {
  reason: string | null;
  origin: BackupRecord["origin"];
  completedAt: string;
  /** Release that writes, such as `supabase-backup 0.1.0`. */
  writtenBy: string;
}

/** What is in `backups/`: the complete ones, newest first, and those that are not whole. */
export interface BackupList {
  backups: BackupRecord[];
  /** Records that cannot be read or whose manifest is missing. */
  damaged: { backupId: string; code: string; message: string }[];
}

/** A backup opened for reading. */
export interface OpenedBackup<T extends BackupType = "database"> {
  record: RecordOf<T>;
  manifest: ManifestOf<T>;
}

/** A key that opens the repository, without anything secret. */
export interface KeyFacts {
  id: string;
  kind: "key" | "passphrase";
  label: string | null;
  createdAt: string;
}

/** Packs the data parts of one unit into chunks. Not for use by two callers at once. */
export interface PieceWriter {
  /** Adds bytes to the open part. Waits while two chunks are still on their way to storage. */
  append(bytes: Uint8Array): Promise<void>;
  /**
   * Ends the open part and begins the next. The promise settles once the part's last chunk is
   * stored, which for a small part is later or at `finish()`: await it only after `finish()`.
   */
  endPart(): Promise<Piece[]>;
  /** Stores what is left. @throws what storing threw */
  finish(): Promise<void>;
  /** Sums over the chunks of this writer so far. */
  readonly written: WrittenTotals;
}

/** Sums over written chunks. */
export interface WrittenTotals {
  /** Chunks referred to, each time counted. */
  chunks: number;
  newChunks: number;
  /** Content before compression. */
  rawBytes: number;
  newStoredBytes: number;
}

/** What reading a chunk back has shown. Survives JSON. */
export interface CheckedChunk {
  name: string;
  /** Null when it could not be read. */
  rawBytes: number | null;
  storedBytes: number;
  problem: { code: string; message: string } | null;
}

/** Options of a verification. */
export interface VerifyOptions {
  /** `quick`: everything referred to is there; `full`: it is also read, decrypted and hashed. */
  level: "quick" | "full";
  /** Ids; all backups when left out. */
  backups?: string[];
  /** Chunks read at once. Default 4. */
  concurrency?: number;
  signal?: AbortSignal;
  onProgress?: ProgressListener;
}

/** An open repository. */
export interface Repository {
  /** 32 hexadecimal digits, drawn when it was made. */
  readonly id: string;
  /** Where it is, without credentials. */
  readonly location: string;
  readonly encrypted: boolean;
  /** Id of the key file that opened it, see `listKeys`; null without encryption. */
  readonly keyId: string | null;
  /** Sums over all chunks that this instance wrote, lines and manifests included. */
  readonly written: WrittenTotals;

  /** Stores content; what is known or there already is neither compressed nor stored again. */
  writeChunk(bytes: Uint8Array, options?: { signal?: AbortSignal }): Promise<WrittenChunk>;
  /** Content of a chunk. @throws `object_missing`, `object_truncated`, `object_altered`, `object_swapped` */
  readChunk(name: string, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
  /** A packer for the data parts of one unit. @param options `targetBytes` defaults to 8 MiB */
  pieceWriter(options?: { targetBytes?: number; signal?: AbortSignal }): PieceWriter;
  /**
   * The bytes of pieces, in order, a piece at a time; the next chunk is read ahead.
   * @param options with `passing`, each slice is only valid until the next is asked for, because its
   * memory is used again
   */
  readPieces(
    pieces: readonly Piece[],
    options?: { passing?: boolean; signal?: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /**
   * Stores values as JSON lines.
   * @param options `written` are sums that the chunks of these lines are added to
   */
  writeLines(
    values: Iterable<unknown> | AsyncIterable<unknown>,
    options?: { signal?: AbortSignal; written?: WrittenTotals },
  ): Promise<LinesRef>;
  /** Reads JSON lines back. */
  readLines<T>(ref: LinesRef, options?: { signal?: AbortSignal }): AsyncIterable<T>;

  /** Those of these chunks that are not in storage, as a storage was lost or somebody deleted from it. */
  missingChunks(names: Iterable<string>, options?: { signal?: AbortSignal }): Promise<Set<string>>;
  /** Names that are in storage: content of these names is not looked for and not written. */
  rememberChunks(names: Iterable<string>): void;
  /**
   * Keeps chunks locked for as long as new ones, where the storage locks objects. What is written and
   * found stored is kept so by itself; what a backup refers to without writing it needs this.
   * @throws `object_missing`, `storage_*`
   */
  extendLocks(names: Iterable<string>, options?: { signal?: AbortSignal }): Promise<void>;
  /**
   * Remembers the chunks of a backup, usually the newest.
   * @returns its id, or null when there is none or it cannot be read (then nothing is remembered)
   */
  rememberBackup(
    idOrLatest: string,
    options?: { type?: BackupType; signal?: AbortSignal },
  ): Promise<string | null>;

  /**
   * Makes a backup exist: checks that every chunk it refers to is there, stores the manifest and, as
   * the very last object, the record. Doing it again with the same content does no harm.
   * @throws `object_missing` when a chunk is not there, `conflict` when another backup has the id
   */
  commitBackup<M extends Manifest>(
    manifest: M,
    facts: BackupFacts,
    options?: { signal?: AbortSignal },
  ): Promise<RecordOf<M["type"]>>;
  /**
   * Lists backups, newest first.
   * @param options `limit` bounds how many records are read, `ids` says which
   */
  listBackups(
    options?: { limit?: number; ids?: readonly string[]; signal?: AbortSignal },
  ): Promise<BackupList>;
  /** Ids of all backups, newest first, also of those that cannot be read. */
  backupIds(options?: { signal?: AbortSignal }): Promise<string[]>;
  /** The moment that the newest backup's id tells, safety backups too; null when there is none. */
  newestMoment(options?: { signal?: AbortSignal }): Promise<Date | null>;
  /**
   * Opens a backup of a type, the database's if none is said, by id or `latest`: the newest of that type
   * that is not a safety backup.
   * @throws `backup_not_found`, also when the backup is of another type, and the `object_*` codes
   */
  readBackup<T extends BackupType = "database">(
    idOrLatest: string,
    options?: { type?: T; signal?: AbortSignal },
  ): Promise<OpenedBackup<T>>;
  /** Reads chunks back for a verification: what is wrong with one is in its answer, not thrown. */
  checkChunks(
    names: readonly string[],
    options?: { concurrency?: number; signal?: AbortSignal },
  ): Promise<CheckedChunk[]>;
  /** Checks stored backups; finds all problems rather than stop at the first. */
  verify(options: VerifyOptions): Promise<VerifyReport>;
  /** The same in small looks, for a job in parts. */
  readonly checking: Checking;

  /**
   * Makes a recovery point exist and gives what exists then: doing it again, also with other words,
   * changes nothing.
   * @throws `invalid_request` for an id of another form
   */
  commitPoint(point: RecoveryPoint, options?: { signal?: AbortSignal }): Promise<RecoveryPoint>;
  /** Lists recovery points, newest first. @param options as of `listBackups` */
  listPoints(
    options?: { limit?: number; ids?: readonly string[]; signal?: AbortSignal },
  ): Promise<PointList>;
  /** Ids of all recovery points, newest first, also of those that cannot be read. */
  pointIds(options?: { signal?: AbortSignal }): Promise<string[]>;
  /** One recovery point, by id or `latest`: the newest that has backups. @throws `backup_not_found` and the `object_*` codes */
  readPoint(idOrLatest: string, options?: { signal?: AbortSignal }): Promise<RecoveryPoint>;

  /**
   * Keeps a small JSON document that is no backup, under a name with folders such as `plans/custom/000001`.
   * `created` is false when one of that name was there: it stays as it is, whatever it says.
   * @throws `over_budget` above a megabyte, `storage_*`
   */
  writeDocument(
    document: { name: string; value: unknown },
    options?: { signal?: AbortSignal },
  ): Promise<{ created: boolean }>;
  /** A document's value, unchecked. @throws `object_missing` and the other `object_*` codes */
  readDocument(name: string, options?: { signal?: AbortSignal }): Promise<unknown>;
  /** Takes a document away; false for one that a lock holds. @throws `storage_*` */
  removeDocument(name: string, options?: { signal?: AbortSignal }): Promise<boolean>;
  /** Names of the documents in a folder and below it, in order. */
  listDocuments(folder: string, options?: { signal?: AbortSignal }): AsyncIterable<string>;

  /**
   * Copying to the same repository in another storage, see `copyFoundation`.
   * @throws `conflict` when that is another repository
   */
  copyingTo(copy: Repository): Copying;

  /** Expiring backups and freeing space. */
  readonly freeing: Freeing;
  /** The same by another clock than this process's, which may be wrong by days. */
  freeingBy(clock: Clock): Freeing;

  /** Whose repository it is; null before the first backup. */
  owner(options?: { signal?: AbortSignal }): Promise<RepositoryOwner | null>;
  /**
   * Says who is going to write; the first one becomes the owner.
   * @param options `takeOver` makes the writer the new owner, for a database that moved
   * @throws `repository_foreign` when the repository is another database's
   */
  claimOwner(
    writer: RepositoryOwner,
    options?: { takeOver?: boolean; signal?: AbortSignal },
  ): Promise<void>;

  /** Keys that open it. */
  listKeys(): Promise<KeyFacts[]>;
  /** Lets one more key open it. Nothing that is stored is written again. @throws `key_weak` */
  addKey(key: Secret, options?: { label?: string }): Promise<KeyFacts>;
  /** Takes a key's access away. @throws `conflict` when it is the last one, `not_found` */
  removeKey(id: string): Promise<void>;
}
