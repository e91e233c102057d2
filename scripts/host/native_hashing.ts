/**
 * Digests of the system's OpenSSL, for programs of a host: SHA-256 takes a fifth of the time of the
 * runtime's, and nothing is made for each content but the digest.
 *
 * @module
 */
import { toHex, utf8 } from "../../supabase/functions/backup/core/bytes.ts";
import { type Hashing, runtimeHashing } from "../../supabase/functions/backup/core/hashing.ts";
import { nativeHmac } from "./native_hmac.ts";
import { openLibrary, OPENSSL } from "./open_library.ts";

const DIGEST = { parameters: ["buffer", "usize", "buffer"], result: "pointer" } as const;
const SYMBOLS = { MD5: DIGEST, SHA256: DIGEST } as const satisfies Deno.ForeignLibraryInterface;

const SAMPLE = utf8("what do ya want for nothing?");

/** OpenSSL's; the runtime's where there is none, or where this program may not load it. */
export function nativeHashing(): Hashing {
  const library = openLibrary(OPENSSL, SYMBOLS);
  const hmac = nativeHmac();
  if (library === undefined || hmac === undefined) return runtimeHashing;
  const { MD5, SHA256 } = library;
  const [short, long] = [new Uint8Array(16), new Uint8Array(32)];
  const hashing: Hashing = {
    md5(bytes) {
      if (MD5(bytes, BigInt(bytes.length), short) === null) return runtimeHashing.md5(bytes);
      return toHex(short);
    },
    sha256(bytes) {
      if (SHA256(bytes, BigInt(bytes.length), long) === null) return runtimeHashing.sha256(bytes);
      return toHex(long);
    },
    hmacSha256: (key, bytes) => hmac(key)(bytes) as Uint8Array,
  };
  // A library that gives another result is not used.
  const isSame = hashing.md5(SAMPLE) === runtimeHashing.md5(SAMPLE) &&
    hashing.sha256(SAMPLE) === runtimeHashing.sha256(SAMPLE);
  return isSame ? hashing : runtimeHashing;
}
