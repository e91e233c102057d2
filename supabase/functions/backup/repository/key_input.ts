/**
 * Reads the key that a person gave: 32 bytes as base64 or hexadecimal, or else a passphrase. Refuses
 * what would only look like protection.
 *
 * @module
 */
import { cryptoBytes, fromBase64, fromHex, toHex, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";

/** A key as given. */
export type KeyInput =
  | { kind: "key"; bytes: Uint8Array }
  | { kind: "passphrase"; bytes: Uint8Array };

const PLACEHOLDER =
  /^(your[-_ ]|<|change[-_ ]?me|replace[-_ ]?(me|this|with)|example|placeholder|insert[-_ ]|xxx|todo|secret[-_ ]?key|password)/i;

/** Shortest passphrase, in characters. */
const PASSPHRASE_CHARACTERS = 12;

/** Reads a key. @throws `key_missing` when it is empty, `key_weak` when it is no protection */
export function readKeyInput(key: Secret): KeyInput {
  const text = key.reveal().trim();
  if (text === "") {
    throw new BackupError("key_missing", "Cannot use the encryption key: it is empty", { hint });
  }
  if (PLACEHOLDER.test(text)) throw weak("it is a placeholder from an example");
  const bytes = rawKey(text);
  if (bytes) {
    if (new Set(bytes).size < 8) throw weak("its bytes repeat");
    return { kind: "key", bytes };
  }
  if ([...text].length < PASSPHRASE_CHARACTERS) {
    throw weak(`a passphrase needs at least ${PASSPHRASE_CHARACTERS} characters`);
  }
  if (new Set(text).size < 5) throw weak("its characters repeat");
  return { kind: "passphrase", bytes: utf8(text.normalize("NFKC")) };
}

function rawKey(text: string): Uint8Array | null {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return fromHex(text);
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) {
    const bytes = fromBase64(text.replace("=", "") + "=");
    return bytes.length === 32 ? bytes : null;
  }
  return null;
}

/**
 * Tells one key from another: 16 hexadecimal digits. It is worked out from the key alone, so that who has
 * kept a copy can say so; the platform's own digests of secrets are others.
 */
export async function keyFingerprint(key: Secret): Promise<string> {
  const text = utf8(`${FINGERPRINT_OF}${key.reveal().trim()}`);
  const digest = await crypto.subtle.digest("SHA-256", cryptoBytes(text));
  return toHex(new Uint8Array(digest)).slice(0, 16);
}

/** Works the fingerprint out of a file that holds the key, on any machine. */
export const FINGERPRINT_COMMAND =
  "(printf 'supabase-backup key '; tr -d '\\r\\n' < backup.key) | sha256sum | cut -c1-16";

const FINGERPRINT_OF = "supabase-backup key ";

const hint = "Make one with: openssl rand -base64 32. Keep a copy outside this project.";

function weak(why: string): BackupError {
  return new BackupError("key_weak", `Cannot use the encryption key: ${why}`, { hint });
}
