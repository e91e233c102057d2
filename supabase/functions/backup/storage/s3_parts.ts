/**
 * Uploads to S3 in parts, by the large client.
 *
 * @module
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  type StorageClass,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { Clock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { checksumFor, lockFor } from "./s3_locks.ts";
import type { ObjectLock } from "./storage.ts";

/** S3's least size of a part that is not the last. */
const PART_BYTES = 8 * 1024 * 1024;

/** What is sent, and how it is kept once it is there. */
export interface InParts {
  object: { Bucket: string; Key: string };
  body: Uint8Array;
  /** On which the upload ends. */
  condition: { IfNoneMatch?: string };
  storageClass: string | null;
  lock: ObjectLock | null;
  clock: Clock;
  signal: AbortSignal | undefined;
}

/** Parts one after the other: a single caller's objects are seldom this large. @throws the client's errors */
export async function sendInParts(
  client: S3Client,
  { object, body, condition, storageClass, lock, clock, signal }: InParts,
): Promise<void> {
  const abort = signal ? { abortSignal: signal } : {};
  const begin = new CreateMultipartUploadCommand({
    ...object,
    ...(storageClass === null ? {} : { StorageClass: storageClass as StorageClass }),
    ...(lock && lockFor(lock, clock)),
  });
  const { UploadId } = await client.send(begin, abort);
  if (UploadId === undefined) {
    throw new BackupError("storage_refused", `Cannot store ${object.Key}: no upload was begun`);
  }
  try {
    const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
    for (let at = 0; at < body.length; at += PART_BYTES) {
      const PartNumber = Parts.length + 1;
      const Body = body.subarray(at, at + PART_BYTES);
      const part = { UploadId, PartNumber, Body, ...checksumFor(lock, Body) };
      const { ETag } = await client.send(new UploadPartCommand({ ...object, ...part }), abort);
      Parts.push({ ETag, PartNumber });
    }
    const input = { ...object, ...condition, UploadId, MultipartUpload: { Parts } };
    await client.send(new CompleteMultipartUploadCommand(input), abort);
  } catch (error) {
    // Best effort: parts that stay behind are no object, and the first error says more.
    await client.send(new AbortMultipartUploadCommand({ ...object, UploadId })).catch(() => {});
    throw error;
  }
}
