/**
 * The bytes of a stored object: header, payload, tag. The header holds a digest of the path that the
 * object was written for, so a valid object in another's place is told apart from an altered one.
 *
 * @module
 */
import { cryptoBytes, equalConstantTime, fromHex, toHex, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import { refuseOversized } from "../storage/oversized.ts";
import { type Cipher, TAG_BYTES } from "./cipher.ts";
import { type Algorithm, compress, decompress } from "./compress.ts";
import type { Compression, GzipCompress, ObjectKind, ZstdCodec } from "./types.ts";

const MAGIC = utf8("SBK1");
const FORMAT = 1;
/** Length of the header. */
export const HEADER_BYTES = 68;
/** What every object is longer than its payload. */
export const OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES;

/**
 * Most content of one object. Chunks of rows have 8 MiB; only a definition or a list of unusual length
 * makes a larger one.
 */
export const MAX_CONTENT_BYTES = 64 * 1024 * 1024;
/** Most bytes of a stored object: content that does not shrink is stored as it is. */
export const MAX_STORED_BYTES = MAX_CONTENT_BYTES + OVERHEAD_BYTES;

const KINDS: readonly ObjectKind[] = [
  "chunk",
  "manifest",
  "backup",
  "owner",
  "point",
  "document",
  "freed",
];
const ALGORITHMS: readonly Algorithm[] = ["none", "zstd", "gzip"];

/** What an object is, and by what it is sealed and opened. */
export interface ObjectOptions {
  cipher: Cipher;
  kind: ObjectKind;
  path: string;
  /** Another zstd than the runtime's. */
  zstd?: ZstdCodec | undefined;
}

/** How an object is put together. */
export interface SealOptions extends ObjectOptions {
  compression: Compression;
  gzip?: GzipCompress | undefined;
  /** Memory that it may be put together in. */
  room?: Uint8Array | undefined;
}

/** The stored form of content. */
export async function sealObject(
  content: Uint8Array,
  options: SealOptions,
): Promise<Uint8Array> {
  const { cipher, kind, path, compression, zstd, gzip, room } = options;
  if (content.length > MAX_CONTENT_BYTES) {
    throw new BackupError(
      "over_budget",
      `Cannot store ${path}: ${content.length} bytes are more than one object may hold`,
      { hint: `The limit is ${MAX_CONTENT_BYTES} bytes: one definition or list is too long.` },
    );
  }
  // In its place, where it is encrypted without being moved.
  const inPlace = room?.subarray(HEADER_BYTES, -TAG_BYTES);
  const packed = await compress(content, { ...compression, zstd, gzip, room: inPlace });
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(MAGIC, 0);
  header[4] = FORMAT;
  header[5] = KINDS.indexOf(kind) + 1;
  header[6] = ALGORITHMS.indexOf(packed.algorithm);
  header[7] = cipher.encrypted ? 1 : 0;
  header.set(fromHex(cipher.dataKeyId), 8);
  header.set(nonce, 16);
  view.setUint32(28, content.length);
  view.setUint32(32, packed.bytes.length);
  header.set(await pathDigest(path), 36);
  return await cipher.seal(packed.bytes, nonce, header, room);
}

/** A stored object whose header and payload are what was once sealed for this place. */
interface Authentic {
  payload: Uint8Array;
  algorithm: Algorithm | undefined;
  rawBytes: number;
}

/**
 * The content of a stored object.
 * @param options `room` is memory that it may be put into
 * @throws `object_truncated`, `object_altered`, `object_swapped`, `repository_format`
 */
export async function openObject(
  stored: Uint8Array,
  options: ObjectOptions & { room?: Uint8Array | undefined },
): Promise<Uint8Array> {
  const { path, zstd, room } = options;
  const { payload, algorithm, rawBytes } = await authenticate(stored, options);
  if (!algorithm) throw fault(path, "object_altered", "its compression is unknown");
  const content = await decompress(payload, { algorithm, rawBytes, zstd, room }).catch(
    (cause: unknown) => {
      if (cause instanceof BackupError) throw cause;
      throw fault(path, "object_altered", "its compressed content is not valid");
    },
  );
  if (content.length !== rawBytes) {
    throw fault(path, "object_altered", "its content has another length");
  }
  return content;
}

/**
 * Proves that a stored object is whole and in its place, without unfolding it. The bytes stay as they are.
 * @throws as {@linkcode openObject}
 */
export async function authenticateObject(
  stored: Uint8Array,
  options: ObjectOptions,
): Promise<void> {
  await authenticate(options.cipher.opensInPlace ? stored.slice() : stored, options);
}

async function authenticate(
  stored: Uint8Array,
  { cipher, kind, path }: ObjectOptions,
): Promise<Authentic> {
  if (stored.length < HEADER_BYTES) {
    throw fault(path, "object_truncated", "it ends within its header");
  }
  const header = stored.slice(0, HEADER_BYTES);
  const view = new DataView(header.buffer);
  if (!equalConstantTime(header.subarray(0, 4), MAGIC)) {
    throw fault(path, "object_altered", "it does not begin like an object of a repository");
  }
  if (header[4] !== FORMAT) {
    throw new BackupError("repository_format", `Cannot read ${path}: format ${header[4]}`, {
      hint: "Use a newer release of this software; if there is none, the object is damaged.",
    });
  }
  const length = OVERHEAD_BYTES + view.getUint32(32);
  if (stored.length < length) {
    throw fault(path, "object_truncated", `it has ${stored.length} of ${length} bytes`);
  }
  if (stored.length > length) throw fault(path, "object_altered", "bytes follow its end");
  if (toHex(header.subarray(8, 16)) !== cipher.dataKeyId) {
    throw fault(path, "object_altered", "it was sealed with a key that is not this repository's");
  }
  const payload = await cipher.open(stored.subarray(HEADER_BYTES), header.slice(16, 28), header);
  if (!payload) throw fault(path, "object_altered", "it does not authenticate");
  // From here on the header is known to be what we once wrote.
  const asWritten = equalConstantTime(header.subarray(36, 68), await pathDigest(path));
  if (!asWritten || KINDS[(header[5] as number) - 1] !== kind) {
    throw fault(path, "object_swapped", "it is an intact object that belongs elsewhere");
  }
  const rawBytes = view.getUint32(28);
  // Without encryption anybody can write a header: a few bytes may claim to unfold to gigabytes.
  refuseOversized(path, rawBytes, MAX_CONTENT_BYTES);
  return { payload, algorithm: ALGORITHMS[header[6] as number], rawBytes };
}

function fault(path: string, code: keyof typeof HINTS, why: string): BackupError {
  return new BackupError(code, `Cannot read ${path}: ${why}`, {
    hint: HINTS[code],
    details: { path },
  });
}

const HINTS = {
  object_truncated:
    "The storage lost part of it. Verify the repository; use another backup or copy.",
  object_altered: "The stored bytes changed. Verify the repository; use another backup or copy.",
  object_swapped: "Somebody moved objects within the storage. Check who may write to it.",
};

async function pathDigest(path: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", cryptoBytes(utf8(path))));
}
