/**
 * Seals contents of the Vault with a key of their own, before they become contents of a backup: who holds
 * the repository's key alone cannot read them.
 *
 * A sealed content is `SBV1`, the key's id (8 bytes), a nonce (12 bytes), then AES-256-GCM over the value,
 * with the item's key as associated data, so that one secret cannot be put in another's place.
 *
 * @module
 */
import {
  concat,
  cryptoBytes,
  equalConstantTime,
  fromBase64,
  fromHex,
  fromUtf8,
  toHex,
  utf8,
} from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";

const MAGIC = utf8("SBV1");
const ID_BYTES = 8;
const NONCE_BYTES = 12;

/** Seals and opens; made by {@linkcode openVaultSeal}. */
export interface VaultSeal {
  /** Tells one key from another. */
  readonly keyId: string;
  /** @param name the item's key */
  seal(value: string, name: string): Promise<Uint8Array>;
  /** @throws `key_wrong` when another key sealed it, `object_altered` when it is not what was sealed */
  unseal(sealed: Uint8Array, name: string): Promise<string>;
}

/**
 * Makes a seal of a key: 32 random bytes as base64 or hexadecimal.
 *
 * @param options.repositoryKey a key that it must not be; null where encryption is off
 * @throws `key_weak` when it is no such key, `invalid_config` when it is the repository's
 */
export async function openVaultSeal(
  key: Secret,
  { repositoryKey = null }: { repositoryKey?: Secret | null } = {},
): Promise<VaultSeal> {
  const bytes = readKey(key);
  const other = repositoryKey === null ? null : rawKey(repositoryKey.reveal().trim());
  const isRepositorys = key.reveal().trim() === repositoryKey?.reveal().trim() ||
    (other !== null && equalConstantTime(other, bytes));
  if (isRepositorys) {
    throw new BackupError(
      "invalid_config",
      "Cannot save the Vault: its key is the repository's own",
      { hint: "Make another one: openssl rand -base64 32, for BACKUP_VAULT_KEY." },
    );
  }
  const id = (await derive(bytes, "vault key id")).slice(0, ID_BYTES);
  const cipher = await crypto.subtle.importKey(
    "raw",
    cryptoBytes(await derive(bytes, "vault key")),
    "AES-GCM",
    false,
    ["encrypt", "decrypt"],
  );
  return {
    keyId: toHex(id),
    async seal(value, name) {
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const sealed = await crypto.subtle.encrypt(
        gcm(nonce, name),
        cipher,
        cryptoBytes(utf8(value)),
      );
      return concat([MAGIC, id, nonce, new Uint8Array(sealed)]);
    },
    async unseal(sealed, name) {
      const [from, to] = [MAGIC.length + ID_BYTES, MAGIC.length + ID_BYTES + NONCE_BYTES];
      if (!equalConstantTime(sealed.subarray(0, MAGIC.length), MAGIC)) throw altered(name);
      if (!equalConstantTime(sealed.subarray(MAGIC.length, from), id)) throw wrongKey(name);
      try {
        const options = gcm(sealed.slice(from, to), name);
        return fromUtf8(
          new Uint8Array(
            await crypto.subtle.decrypt(options, cipher, cryptoBytes(sealed.slice(to))),
          ),
        );
      } catch (error) {
        if (error instanceof DOMException || error instanceof TypeError) throw altered(name);
        throw error;
      }
    },
  };
}

function gcm(nonce: Uint8Array, name: string): AesGcmParams {
  return { name: "AES-GCM", iv: cryptoBytes(nonce), additionalData: cryptoBytes(utf8(name)) };
}

async function derive(key: Uint8Array, purpose: string): Promise<Uint8Array> {
  const base = await crypto.subtle.importKey("raw", cryptoBytes(key), "HKDF", false, [
    "deriveBits",
  ]);
  const info = cryptoBytes(utf8(`supabase-backup ${purpose} 1`));
  const options = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(32), info };
  return new Uint8Array(await crypto.subtle.deriveBits(options, base, 256));
}

function readKey(key: Secret): Uint8Array {
  const bytes = rawKey(key.reveal().trim());
  if (bytes !== null && new Set(bytes).size >= 8) return bytes;
  throw new BackupError("key_weak", "Cannot use the key of the Vault: it is not 32 random bytes", {
    hint: "Make one with: openssl rand -base64 32. Keep a copy outside this project.",
  });
}

function rawKey(text: string): Uint8Array | null {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return fromHex(text);
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? fromBase64(`${text.replace("=", "")}=`) : null;
}

function wrongKey(name: string): BackupError {
  return new BackupError("key_wrong", `Cannot open ${name}: another key sealed it`, {
    hint: "Set BACKUP_VAULT_KEY to the key that was set when the backup was made.",
  });
}

function altered(name: string): BackupError {
  return new BackupError("object_altered", `Cannot open ${name}: it is not what was sealed`);
}
