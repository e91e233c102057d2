/**
 * HMAC-SHA-256 of the system's OpenSSL, for programs of a host. Web Crypto copies what it is given, and a
 * copy of each chunk keeps the garbage collector busy.
 *
 * @module
 */
import { equalConstantTime, fromHex, utf8 } from "../../supabase/functions/backup/core/bytes.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { HmacSha256 } from "../../supabase/functions/backup/repository/mod.ts";
import { openLibrary, OPENSSL } from "./open_library.ts";

const SYMBOLS = {
  EVP_sha256: { parameters: [], result: "pointer" },
  HMAC: {
    parameters: ["pointer", "buffer", "i32", "buffer", "usize", "buffer", "buffer"],
    result: "pointer",
  },
} as const satisfies Deno.ForeignLibraryInterface;

const DIGEST_BYTES = 32;
/** RFC 4231, test case 2: a library that gives another result is not used. */
const KNOWN = {
  key: utf8("Jefe"),
  content: utf8("what do ya want for nothing?"),
  result: fromHex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
};

/** OpenSSL's; undefined where there is none, or where this program may not load it. */
export function nativeHmac(): HmacSha256 | undefined {
  const library = openLibrary(OPENSSL, SYMBOLS);
  if (library === undefined) return undefined;
  const sha256 = library.EVP_sha256();
  const hmac = (key: Uint8Array) => (content: Uint8Array) => {
    const result = new Uint8Array(DIGEST_BYTES);
    const length = new Uint32Array(1);
    const size = BigInt(content.length);
    const made = library.HMAC(sha256, key, key.length, content, size, result, length);
    if (made !== null && length[0] === DIGEST_BYTES) return result;
    throw new BackupError("internal", "Cannot name content: the system's OpenSSL refused it");
  };
  return equalConstantTime(hmac(KNOWN.key)(KNOWN.content), KNOWN.result) ? hmac : undefined;
}
