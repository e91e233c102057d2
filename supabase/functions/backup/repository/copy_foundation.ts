/**
 * What a copy of a repository is opened with: its description and its key files, which lie in clear.
 *
 * @module
 */
import { equalConstantTime } from "../core/bytes.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import type { Storage } from "../storage/storage.ts";
import { isDamage } from "./backups.ts";
import { readKeyFile } from "./key_file.ts";
import { baseName, KEYS, MAX_PLAIN_BYTES } from "./paths.ts";
import { putRepositoryFile, readRepositoryFile } from "./repository_file.ts";

/** What was found of the keys of a copy. */
export interface CopiedFoundation {
  /** Ids of keys that open the copy and no longer the original: people decide what becomes of them. */
  keysOnlyInCopy: string[];
}

/**
 * Brings description and key files into the copy; safe to repeat. A key file that is damaged there is
 * replaced by a good one of the original; none is taken away.
 *
 * @throws `conflict` when another repository is there, and what reading either place throws
 */
export async function copyFoundation(original: Storage, copy: Storage): Promise<CopiedFoundation> {
  const file = await readRepositoryFile(original);
  const there = await readRepositoryFile(copy).catch((error: unknown) => {
    if (error instanceof BackupError && error.code === "repository_missing") return null;
    throw error;
  });
  if (there !== null && there.repositoryId !== file.repositoryId) throw another(copy);
  // The keys first: a repository that is seen can be opened.
  const keysOnlyInCopy = await copyKeys(original, copy);
  if (there === null && !await putRepositoryFile(copy, file)) throw another(copy);
  return { keysOnlyInCopy };
}

async function copyKeys(original: Storage, copy: Storage): Promise<string[]> {
  const files = await readKeyFiles(original);
  const copied = await readKeyFiles(copy);
  for (const [path, bytes] of files) {
    const present = copied.get(path);
    if (bytes === null || (present && equalConstantTime(present, bytes))) continue;
    // What can be read stays, whatever the original says: it may be the original that was changed.
    if (present) throw differing(path, copy);
    if (present === null) await copy.delete(path);
    await copy.put(path, bytes);
  }
  return [...copied.keys()].filter((path) => !files.has(path)).map(baseName);
}

/** Key files by path; null for one that cannot be read. */
async function readKeyFiles(storage: Storage): Promise<Map<string, Uint8Array | null>> {
  const files = new Map<string, Uint8Array | null>();
  for await (const { name } of storage.list(KEYS)) {
    try {
      const bytes = await storage.get(name, { maxBytes: MAX_PLAIN_BYTES });
      files.set(name, readKeyFile(bytes, name) && bytes);
    } catch (error) {
      const { code } = toBackupError(error);
      if (code === "storage_missing") continue;
      if (!isDamage(code)) throw error;
      files.set(name, null);
    }
  }
  return files;
}

function another({ location }: Storage): BackupError {
  return new BackupError("conflict", `Cannot copy to ${location}: another repository is there`, {
    hint: "Give this copy a bucket or a prefix of its own.",
  });
}

function differing(path: string, { location }: Storage): BackupError {
  return new BackupError(
    "object_altered",
    `Cannot copy ${path} to ${location}: another key file of this name is there`,
    {
      hint: "Find out which of the two opens the backups, and take the other one away by hand.",
      details: { path },
    },
  );
}
