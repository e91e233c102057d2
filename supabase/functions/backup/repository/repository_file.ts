/**
 * `repository.json`: the plain description that every reader begins with.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { Storage } from "../storage/storage.ts";
import { MAX_PLAIN_BYTES, REPOSITORY_FILE } from "./paths.ts";

/** What the file says. */
export interface RepositoryFile {
  product: "supabase-backup";
  format: 1;
  repositoryId: string;
  createdAt: string;
  cipher: "aes-256-gcm" | "none";
  /** Base64; names and tags of an unencrypted repository depend on it. */
  publicSalt?: string;
}

/** Stores the file; false when there is one. */
export async function putRepositoryFile(storage: Storage, file: RepositoryFile): Promise<boolean> {
  const bytes = utf8(JSON.stringify(file, null, 2) + "\n");
  if ((await storage.put(REPOSITORY_FILE, bytes)).created) return true;
  // A lost answer makes our own file look like another's.
  return (await readRepositoryFile(storage)).repositoryId === file.repositoryId;
}

/** Reads the file. @throws `repository_missing`, `repository_format`, `object_altered` */
export async function readRepositoryFile(storage: Storage): Promise<RepositoryFile> {
  const bytes = await storage.get(REPOSITORY_FILE, { maxBytes: MAX_PLAIN_BYTES }).catch(
    (error: unknown) => {
      if (!(error instanceof BackupError) || error.code !== "storage_missing") throw error;
      throw new BackupError(
        "repository_missing",
        `Cannot open ${storage.location}: no repository`,
        {
          hint: "Check the address, or make a repository with action=init.",
          cause: error,
        },
      );
    },
  );
  let file: Partial<RepositoryFile>;
  try {
    file = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw altered("it is not JSON", cause);
  }
  if (file.product !== "supabase-backup") throw altered("it is not a repository's");
  if (file.format !== 1) {
    throw new BackupError(
      "repository_format",
      `Cannot open ${storage.location}: its format is ${file.format}, this release reads 1`,
      { hint: "Use a newer release of this software." },
    );
  }
  const complete = /^[0-9a-f]{32}$/.test(file.repositoryId ?? "") &&
    (file.cipher === "aes-256-gcm" || (file.cipher === "none" && !!file.publicSalt));
  if (!complete) throw altered("fields are missing");
  return file as RepositoryFile;
}

function altered(why: string, cause?: unknown): BackupError {
  return new BackupError("object_altered", `Cannot read ${REPOSITORY_FILE}: ${why}`, {
    hint: "Restore the file from another copy of the repository.",
    cause,
  });
}
