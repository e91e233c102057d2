/**
 * Making and opening repositories.
 *
 * @module
 */
import { fromBase64, toBase64, toHex } from "../core/bytes.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import type { Storage } from "../storage/storage.ts";
import { encryptingCipher, plainCipher } from "./cipher.ts";
import { type RepositorySecrets, wrapSecrets, writeKeyFile } from "./key_file.ts";
import { readKeyInput } from "./key_input.ts";
import { KeyRing } from "./key_ring.ts";
import { ObjectStore } from "./object_store.ts";
import { keyPath, REPOSITORY_FILE } from "./paths.ts";
import { putRepositoryFile, readRepositoryFile, type RepositoryFile } from "./repository_file.ts";
import { ContentRepository } from "./repository.ts";
import type {
  AesGcm,
  Compression,
  GzipCompress,
  HmacSha256,
  Repository,
  ZstdCodec,
} from "./types.ts";

/** How to open a repository. */
export interface RepositoryOptions {
  storage: Storage;
  /** The key; null for a repository without encryption. */
  key: Secret | null;
  /** For new objects. Default zstd level 1. */
  compression?: Compression;
  /** A faster zstd than the runtime's own. */
  zstd?: ZstdCodec | undefined;
  /** A faster gzip than the runtime's, for new objects. */
  gzip?: GzipCompress | undefined;
  /** A faster HMAC than Web Crypto's. */
  hmac?: HmacSha256 | undefined;
  /** A faster AES-256-GCM than Web Crypto's. */
  aesGcm?: AesGcm | undefined;
  clock?: Clock;
}

const DEFAULT_COMPRESSION: Compression = { algorithm: "zstd", level: 1 };

/**
 * Makes a repository at an empty place; a null key makes it unencrypted.
 * @throws `repository_exists`, `key_weak`, `storage_*`
 */
export async function createRepository(options: RepositoryOptions): Promise<Repository> {
  const { storage, key, clock = systemClock } = options;
  const input = key && readKeyInput(key);
  if (await repositoryExists(storage)) throw exists(storage);
  const createdAt = clock.now().toISOString();
  const file: RepositoryFile = {
    product: "supabase-backup",
    format: 1,
    repositoryId: toHex(random(16)),
    createdAt,
    cipher: input ? "aes-256-gcm" : "none",
    ...(input ? {} : { publicSalt: toBase64(random(32)) }),
  };
  const { repositoryId } = file;
  // The key first: a repository that is seen can be opened.
  let ownKeyPath: string | null = null;
  if (input) {
    const secrets: RepositorySecrets = { dataKey: random(32), hashKey: random(32) };
    const keyFile = await wrapSecrets(secrets, {
      repositoryId,
      key: input,
      createdAt,
      label: "first",
    });
    ownKeyPath = keyPath(keyFile.keyId);
    await storage.put(ownKeyPath, writeKeyFile(keyFile));
  }
  if (!await putRepositoryFile(storage, file)) {
    if (ownKeyPath !== null) await storage.delete(ownKeyPath);
    throw exists(storage);
  }
  return await openRepository(options);
}

/**
 * Opens a repository.
 * @throws `repository_missing`, `repository_format`, `key_missing`, `key_wrong`, `key_weak`, and
 * `invalid_config` when a key is given for a repository that is not encrypted
 */
export async function openRepository(options: RepositoryOptions): Promise<Repository> {
  const { storage, key, zstd, gzip, hmac, aesGcm } = options;
  const { compression = DEFAULT_COMPRESSION, clock = systemClock } = options;
  const file = await readRepositoryFile(storage);
  const { repositoryId } = file;
  let keys: KeyRing | null = null;
  if (file.cipher === "none") {
    // Whoever writes to the storage could swap the description for one without encryption.
    if (key) {
      throw new BackupError(
        "invalid_config",
        `Cannot open ${storage.location}: a key was given but the repository is not encrypted`,
        { hint: "If it never was encrypted, open it without a key. Else somebody replaced it." },
      );
    }
  } else {
    if (!key) {
      throw new BackupError("key_missing", `Cannot open ${storage.location}: no key was given`, {
        hint: "Set BACKUP_ENCRYPTION_KEY to the key that the repository was made with.",
      });
    }
    keys = await KeyRing.open({ storage, repositoryId, key: readKeyInput(key), clock });
  }
  const cipher = keys
    ? await encryptingCipher(keys.secrets, { repositoryId, hmac, aesGcm })
    : await plainCipher(fromBase64(file.publicSalt ?? ""), { repositoryId, hmac });
  const objects = new ObjectStore({ storage, cipher, compression, zstd, gzip, clock });
  return new ContentRepository({ id: repositoryId, objects, keys });
}

/** Whether there is a repository, readable or not. */
export async function repositoryExists(storage: Storage): Promise<boolean> {
  return await storage.head(REPOSITORY_FILE) !== null;
}

function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

function exists(storage: Storage): BackupError {
  return new BackupError("repository_exists", `Cannot make a repository at ${storage.location}`, {
    hint: "There is one already: open it, or choose another place.",
  });
}
