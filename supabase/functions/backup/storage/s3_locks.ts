/**
 * Object lock as S3 has it: a date until which a version cannot be deleted, and holds without an end. By the
 * large client; what a small upload says is in `s3_lock_headers.ts`.
 *
 * @module
 */
import {
  GetObjectRetentionCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { Clock } from "../core/clock.ts";
import { lockedUntil } from "./locks.ts";
import { statusOf } from "./s3_errors.ts";
import { md5Of, modeOf } from "./s3_lock_headers.ts";
import type { ObjectLock } from "./storage.ts";

/** Requests about locks need a checksum; the client's usual one, CRC-32, fails on Deno 2.1. */
export const CHECKED = { ChecksumAlgorithm: "SHA256" } as const;

/** What the beginning of an upload in parts says of its lock. */
export function lockFor(lock: ObjectLock, clock: Clock) {
  return {
    ...(lock.mode === null ? {} : {
      ObjectLockMode: modeOf(lock),
      ObjectLockRetainUntilDate: lockedUntil(lock, clock),
    }),
    ...(lock.legalHold ? { ObjectLockLegalHoldStatus: "ON" as const } : {}),
  };
}

/** What a part says of its bytes, where there is a lock. */
export function checksumFor(lock: ObjectLock | null, body: Uint8Array) {
  return lock ? { ContentMD5: md5Of(body) } : {};
}

/** Locks an object until then at least; a longer lock stays. */
export async function extendS3Lock(
  client: S3Client,
  object: { Bucket: string; Key: string },
  { lock, until, abortSignal }: { lock: ObjectLock; until: Date; abortSignal?: AbortSignal },
): Promise<void> {
  const options = abortSignal ? { abortSignal } : {};
  if (lock.legalHold) {
    const input = { ...object, ...CHECKED, LegalHold: { Status: "ON" as const } };
    await client.send(new PutObjectLegalHoldCommand(input), options);
  }
  if (lock.mode === null) return;
  const Retention = { Mode: modeOf(lock), RetainUntilDate: until };
  try {
    await client.send(new PutObjectRetentionCommand({ ...object, ...CHECKED, Retention }), options);
  } catch (error) {
    // A lock cannot be made shorter: the present one may end later.
    if (![400, 403].includes(statusOf(error))) throw error;
    const present = await client.send(new GetObjectRetentionCommand(object), options)
      .catch(() => null); // the first error says more
    const end = present?.Retention?.RetainUntilDate;
    if (end === undefined || end < until) throw error;
  }
}
