/**
 * Digests of bytes in one go. A host may have faster ones than the runtime's.
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";

/** See the module. Digests are in lower-case hexadecimal. */
export interface Hashing {
  md5(bytes: Uint8Array): string;
  sha256(bytes: Uint8Array): string;
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array;
}

/** The runtime's. */
export const runtimeHashing: Hashing = {
  md5: (bytes) => createHash("md5").update(bytes).digest("hex"),
  sha256: (bytes) => createHash("sha256").update(bytes).digest("hex"),
  hmacSha256: (key, bytes) => createHmac("sha256", key).update(bytes).digest(),
};
