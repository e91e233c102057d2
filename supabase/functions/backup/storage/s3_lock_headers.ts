/**
 * What an upload to S3 says of its lock.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import { lockedUntil } from "./locks.ts";
import type { ObjectLock } from "./storage.ts";

/** How S3 names the kinds of locks. */
export type S3LockMode = "COMPLIANCE" | "GOVERNANCE";

/** Headers of the lock. */
export function lockHeaders(lock: ObjectLock, clock: Clock): Record<string, string> {
  return {
    ...(lock.mode === null ? {} : {
      "x-amz-object-lock-mode": modeOf(lock),
      "x-amz-object-lock-retain-until-date": lockedUntil(lock, clock).toISOString(),
    }),
    ...(lock.legalHold ? { "x-amz-object-lock-legal-hold": "ON" } : {}),
  };
}

/** With a lock the server wants a checksum of what it is to keep; MD5 is the one that all servers know. */
export function checksumHeaders(body: Uint8Array): Record<string, string> {
  return { "content-md5": md5Of(body) };
}

/** MD5 as headers have it. */
export function md5Of(body: Uint8Array): string {
  return createHash("md5").update(body).digest("base64");
}

/** The name of a lock's mode, where it has one. */
export function modeOf({ mode }: ObjectLock): S3LockMode {
  return mode === "compliance" ? "COMPLIANCE" : "GOVERNANCE";
}
