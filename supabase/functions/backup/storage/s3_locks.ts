/**
 * Object lock as S3 has it: a date until which a version cannot be deleted, and holds without an end.
 *
 * @module
 */
import {
  GetObjectRetentionCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { createHash } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import { lockedUntil } from "./locks.ts";
import { statusOf } from "./s3_errors.ts";
import type { ObjectLock } from "./storage.ts";

/** Requests about locks need a checksum; the client's usual one, CRC-32, fails on Deno 2.1. */
export const CHECKED = { ChecksumAlgorithm: "SHA256" } as const;

/** What an upload says of its lock. */
export function lockFor(lock: ObjectLock, clock: Clock) {
  return {
    ...(lock.mode === null ? {} : {
      ObjectLockMode: modeOf(lock),
      ObjectLockRetainUntilDate: lockedUntil(lock, clock),
    }),
    ...(lock.legalHold ? { ObjectLockLegalHoldStatus: "ON" as const } : {}),
  };
}

/** With a lock the server wants a checksum of what it is to keep; MD5 is the one that all servers know. */
export function checksumFor(lock: ObjectLock | undefined, body: Uint8Array) {
  return lock ? { ContentMD5: createHash("md5").update(body).digest("base64") } : {};
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

function modeOf({ mode }: ObjectLock): "COMPLIANCE" | "GOVERNANCE" {
  return mode === "compliance" ? "COMPLIANCE" : "GOVERNANCE";
}
