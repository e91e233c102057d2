/**
 * A large object on its way into the target: step by step, in bounded memory, and gone on with by another
 * worker where this one stops or dies.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { ObjectAddress, ObjectMetadata } from "./object_types.ts";
import {
  beginUpload,
  type ResumableUpload,
  sendStep,
  STEP_BYTES,
  uploadOffset,
} from "./resumable_upload.ts";
import type { StorageApi } from "./storage_api.ts";

/** What another worker needs to go on. Survives JSON. */
export interface Resume {
  /** Name of the upload at the server. */
  upload: string;
  /** How often it was begun from the first byte. */
  begun: number;
}

/** What is uploaded and how far. */
export interface SteppedUpload {
  metadata: ObjectMetadata;
  bytes: number;
  replace: boolean;
  /** The content from an offset on. */
  open: (from: number) => AsyncIterable<Uint8Array>;
  resume: Resume | null;
  /** After so many bytes it pauses. */
  maxBytes: number;
  /** Whether the object is there already: the answer to the last step may have been lost. */
  isThere: () => Promise<boolean>;
  signal: AbortSignal;
}

/** Begun more often, it would never end: the server forgets what it has received. */
const MOST_BEGINNINGS = 3;

/**
 * Goes on with the upload, or begins it.
 * @returns where to go on when it pauses; `exists` when there is an object that is not to be replaced
 * @throws `files_*`, and what the content throws
 */
export async function uploadInSteps(
  api: StorageApi,
  address: ObjectAddress,
  work: SteppedUpload,
): Promise<"stored" | "exists" | Resume> {
  let upload: ResumableUpload | null = null;
  let offset: number | null = null;
  let begun = work.resume?.begun ?? 0;
  let sent = 0;
  if (work.resume !== null) {
    upload = { address, id: work.resume.upload, replace: work.replace };
    offset = await uploadOffset(api, upload, work.signal);
  }
  for (;;) {
    if (upload === null || offset === null) {
      if (begun > 0 && await work.isThere()) return "stored";
      if (begun++ >= MOST_BEGINNINGS) throw forgotten(address);
      upload = await beginUpload(api, address, work);
      if (upload === null) return "exists";
      offset = 0;
    }
    const before: number = offset;
    offset = await sendSteps(api, { upload, from: before, most: work.maxBytes - sent, work });
    sent += Math.max(0, (offset ?? before) - before);
    if (offset === work.bytes) return "stored";
    if (offset !== null) return { upload: upload.id, begun };
  }
}

/** Sends steps until the end or for about `most` bytes; null when the server has forgotten the upload. */
async function sendSteps(
  api: StorageApi,
  { upload, from, most, work }: {
    upload: ResumableUpload;
    from: number;
    most: number;
    work: SteppedUpload;
  },
): Promise<number | null> {
  let offset = from;
  if (offset >= work.bytes) return offset;
  for await (const bytes of inSteps(work.open(offset))) {
    const next = await sendStep(api, upload, { bytes, at: offset, signal: work.signal });
    if (next === null) return null;
    offset = next;
    if (offset - from >= most) break;
  }
  return offset;
}

/** The same bytes in steps of one size. */
async function* inSteps(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let step = new Uint8Array(STEP_BYTES);
  let filled = 0;
  for await (let chunk of chunks) {
    while (chunk.length > 0) {
      const part = chunk.subarray(0, STEP_BYTES - filled);
      step.set(part, filled);
      filled += part.length;
      chunk = chunk.subarray(part.length);
      if (filled < STEP_BYTES) continue;
      yield step;
      // The client may still hold the last one.
      step = new Uint8Array(STEP_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield step.subarray(0, filled);
}

function forgotten({ bucket, name }: ObjectAddress): BackupError {
  return new BackupError(
    "files_refused",
    `Cannot store ${bucket}/${name}: the server forgot the upload ${MOST_BEGINNINGS} times`,
    { hint: "Uploads in steps live for a day at most; see how long the server keeps them." },
  );
}
