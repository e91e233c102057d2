/**
 * The keys of an open repository.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import type { Storage } from "../storage/storage.ts";
import { isDamage } from "./backups.ts";
import {
  type KeyFile,
  readKeyFile,
  type RepositorySecrets,
  unwrapSecrets,
  wrapSecrets,
  writeKeyFile,
} from "./key_file.ts";
import { type KeyInput, readKeyInput } from "./key_input.ts";
import { baseName, keyPath, KEYS, MAX_PLAIN_BYTES } from "./paths.ts";
import type { KeyFacts } from "./types.ts";

/** Adds, removes and lists keys. Holds the secrets, so it never leaves this folder. */
export class KeyRing {
  readonly secrets: RepositorySecrets;
  /** Id of the key file that opened the repository. */
  readonly openedBy: string;
  readonly #storage: Storage;
  readonly #repositoryId: string;
  readonly #clock: Clock;

  private constructor(
    secrets: RepositorySecrets,
    options: { openedBy: string; storage: Storage; repositoryId: string; clock: Clock },
  ) {
    this.secrets = secrets;
    this.openedBy = options.openedBy;
    this.#storage = options.storage;
    this.#repositoryId = options.repositoryId;
    this.#clock = options.clock;
  }

  /** Finds the key file that the key opens. @throws `key_wrong`, `object_missing`, `object_altered` */
  static async open(options: {
    storage: Storage;
    repositoryId: string;
    key: KeyInput;
    clock: Clock;
  }): Promise<KeyRing> {
    const { files, unreadable } = await readKeyFiles(options.storage, options.repositoryId);
    let damage = unreadable;
    for (const file of files) {
      try {
        const secrets = await unwrapSecrets(file, options.key);
        if (secrets) return new KeyRing(secrets, { ...options, openedBy: file.keyId });
      } catch (cause) {
        // One file that holds nonsense must not keep the others from opening.
        damage ??= new BackupError(
          "object_altered",
          `Cannot use ${keyPath(file.keyId)}: what it says of itself is impossible`,
          { hint: "Bring it back from another copy of the repository.", cause },
        );
      }
    }
    // A damaged key file may be the very one: then the key cannot be called wrong.
    if (damage) throw damage;
    const at = options.storage.location;
    if (files.length === 0) {
      throw new BackupError("object_missing", `Cannot open ${at}: its key files are missing`, {
        hint: "Bring back the folder keys/ from another copy of the repository.",
      });
    }
    throw new BackupError("key_wrong", `Cannot open ${at}: the key opens none of its key files`, {
      hint: "Use the key that the repository was made with, or one that was added to it.",
    });
  }

  async list(): Promise<KeyFacts[]> {
    const { files } = await readKeyFiles(this.#storage, this.#repositoryId);
    return files.map(factsOf);
  }

  async add(key: Secret, label: string | null): Promise<KeyFacts> {
    const file = await wrapSecrets(this.secrets, {
      repositoryId: this.#repositoryId,
      key: readKeyInput(key),
      createdAt: this.#clock.now().toISOString(),
      label,
    });
    await this.#storage.put(keyPath(file.keyId), writeKeyFile(file));
    return factsOf(file);
  }

  async remove(id: string): Promise<void> {
    const keys = await this.list();
    if (!keys.some((key) => key.id === id)) {
      throw new BackupError(
        "not_found",
        "Cannot remove the key: the repository has none of this id",
      );
    }
    if (keys.length === 1) {
      throw new BackupError("conflict", "Cannot remove the key: it is the last one", {
        hint: "Add another key first; without any the backups are lost.",
      });
    }
    await this.#storage.delete(keyPath(id));
  }
}

/** Key files that cannot be read, by path; see `Repository.verify`. */
export async function findDamagedKeys(
  storage: Storage,
  signal?: AbortSignal,
): Promise<Map<string, BackupError>> {
  const damaged = new Map<string, BackupError>();
  for await (const { name } of storage.list(KEYS, signal)) {
    try {
      const bytes = await getListed(storage, name);
      if (bytes !== null) readKeyFile(bytes, name);
    } catch (thrown) {
      const error = toBackupError(thrown);
      if (!isDamage(error.code)) throw error;
      damaged.set(name, error);
    }
  }
  return damaged;
}

/** Key files of this repository; those of one that lost the race to be made here are left out. */
async function readKeyFiles(
  storage: Storage,
  repositoryId: string,
): Promise<{ files: KeyFile[]; unreadable: unknown }> {
  const files: KeyFile[] = [];
  let unreadable: unknown;
  for await (const { name } of storage.list(KEYS)) {
    try {
      const bytes = await getListed(storage, name);
      if (bytes === null) continue;
      const file = readKeyFile(bytes, name);
      if (file.repositoryId === repositoryId && file.keyId === baseName(name)) files.push(file);
    } catch (error) {
      // What does not answer is another matter than what cannot be read.
      if (!isDamage(toBackupError(error).code)) throw error;
      unreadable ??= error;
    }
  }
  return { files, unreadable };
}

function factsOf({ keyId, kind, label, createdAt }: KeyFile): KeyFacts {
  return { id: keyId, kind, label, createdAt };
}

/** An object that was listed; null when it went since: a creator that lost the race takes its key away. */
async function getListed(storage: Storage, name: string): Promise<Uint8Array | null> {
  try {
    return await storage.get(name, { maxBytes: MAX_PLAIN_BYTES });
  } catch (error) {
    if (error instanceof BackupError && error.code === "storage_missing") return null;
    throw error;
  }
}
