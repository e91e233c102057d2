/**
 * The repository that a command line program works on.
 *
 * @module
 */
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  type Compression,
  createRepository,
  openRepository,
  type Repository,
  repositoryExists,
} from "../../supabase/functions/backup/repository/mod.ts";
import { nativeCode } from "../host/native_code.ts";
import { openHostStorage } from "../host/open_storage.ts";
import type { ThreadAccess } from "../host/thread_messages.ts";
import { type CommandOptions, type CommandValues, UsageError } from "./command.ts";

/** Options that name a repository. */
export const REPOSITORY_OPTIONS: CommandOptions = {
  repository: {
    type: "string",
    help: "file:///directory or s3://bucket/prefix?endpoint=…&region=…",
  },
  "no-encryption": {
    type: "boolean",
    help: "the repository has no key; else BACKUP_ENCRYPTION_KEY holds it",
  },
};

/** Opens it; with `create` it is made where there is none. */
export async function openCommandRepository(
  values: CommandValues,
  options: { create?: boolean; compression?: Compression } = {},
): Promise<Repository> {
  const storage = await openHostStorage(values.required("repository"));
  const { compression } = options;
  const settings = {
    storage,
    key: keyOf(values),
    ...nativeCode(),
    ...(compression === undefined ? {} : { compression }),
  };
  if (options.create === true && !await repositoryExists(storage)) {
    return await createRepository(settings);
  }
  return await openRepository(settings).catch((error: unknown) => {
    throw withHintOfCommand(error);
  });
}

/** No command but a backup makes a repository: where one is read, the address is what is wrong. */
function withHintOfCommand(error: unknown): unknown {
  if (!(error instanceof BackupError) || error.code !== "repository_missing") return error;
  return new BackupError(error.code, error.message, {
    hint:
      "Check the address: directory or bucket, and prefix, are those of the service's settings. " +
      "Nothing was written.",
    cause: error,
  });
}

/** What threads need to open the same repository, and a database, each for itself. */
export function threadAccess(values: CommandValues, database: Secret): ThreadAccess {
  return {
    databaseUrl: database.reveal(),
    repositoryUrl: values.required("repository"),
    key: keyOf(values)?.reveal() ?? null,
  };
}

function keyOf(values: CommandValues): Secret | null {
  if (values.flag("no-encryption")) return null;
  const key = Deno.env.get("BACKUP_ENCRYPTION_KEY");
  if (key !== undefined && key !== "") return new Secret(key);
  throw new BackupError("key_missing", "Cannot open the repository: no key was given", {
    hint: "Set BACKUP_ENCRYPTION_KEY, or say --no-encryption for a repository without a key.",
  });
}

/** `zstd:3`, `gzip`, `none`. @throws {UsageError} */
export function parseCompression(text: string): Compression {
  const [, algorithm, level] = /^(zstd|gzip|none)(?::(\d{1,2}))?$/.exec(text) ?? [];
  if (algorithm !== "zstd" && algorithm !== "gzip" && algorithm !== "none") {
    throw new UsageError("--compression must be zstd, gzip or none, with a level as in zstd:3");
  }
  return { algorithm, level: level === undefined ? (algorithm === "gzip" ? 6 : 1) : Number(level) };
}
