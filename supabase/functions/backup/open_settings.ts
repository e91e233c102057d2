/**
 * Opens what the settings name: the storage and the repository in it; and says how a thread opens the same.
 *
 * @module
 */
import { pathToFileURL } from "node:url";
import { checkEndpoint, checkStorageHost } from "./core/allowed_hosts.ts";
import type { Environment } from "./core/environment.ts";
import { BackupError, toBackupError } from "./core/errors.ts";
import type { Secret } from "./core/secret.ts";
import type { Settings } from "./core/settings.ts";
import { type FilesAccess, filesAccess } from "./project/mod.ts";
import {
  type Compression,
  createRepository,
  openRepository,
  readKeyInput,
  type Repository,
} from "./repository/mod.ts";
import { countedStorage } from "./storage/counted.ts";
import { localStorage } from "./storage/local.ts";
import { openStorage } from "./storage/open.ts";
import { type Credential, settingsAddress } from "./storage/settings_address.ts";
import type { Storage } from "./storage/storage.ts";

/** What a reference of the settings stands for. */
type Resolve = (reference: string) => Promise<Secret>;

/** What a thread opens for itself. It survives a structured clone, secrets included. */
export interface ThreadAccess {
  /** Empty where there is none. */
  databaseUrl: string;
  /** Address as `openStorage` takes it. */
  repositoryUrl: string;
  /** Credentials of that address; those that are missing come from the environment. */
  storageVariables?: Record<string, string>;
  /** Null for a repository without encryption. */
  key: string | null;
  compression?: Compression;
  /** Where files are read from, for threads that save them. */
  files?: FilesAccess;
}

/** @throws `invalid_config` when the storage, the key or the files cannot be reached */
export async function threadAccess(
  settings: Settings,
  environment: Environment,
  secret: Resolve,
): Promise<ThreadAccess> {
  const { url, variables } = await storageAddress(settings, secret);
  return {
    databaseUrl: environment.databaseUrl?.reveal() ?? "",
    ...{ repositoryUrl: url, storageVariables: variables },
    key: (await encryptionKey(settings, secret))?.reveal() ?? null,
    compression: compressionOf(settings),
    files: filesAccess(environment),
  };
}

/** @throws `invalid_config` when none is set up */
export async function openSettingsStorage(
  settings: Settings,
  environment: Environment,
  secret: Resolve,
): Promise<Storage> {
  checkStorageHost(settings, environment);
  if (settings.backupStorageType === "local") {
    if (environment.hosted) {
      throw new BackupError(
        "invalid_config",
        "Cannot keep backups on local storage here: the function's disk is gone after each call",
        {
          hint: "supabase secrets set BACKUP_STORAGE_TYPE=s3 BACKUP_STORAGE_BUCKET=… " +
            "BACKUP_STORAGE_REGION=… BACKUP_STORAGE_ACCESS_KEY=… BACKUP_STORAGE_SECRET_KEY=…",
        },
      );
    }
    return countedStorage(localStorage(directoryOf(settings)));
  }
  const { url, variables } = await storageAddress(settings, secret);
  const allow = (endpoint: string) => checkEndpoint(endpoint, settings, environment);
  return countedStorage(openStorage(url, (name) => variables[name], { allow }));
}

function directoryOf({ backupStorageConfig: { path, bucket } }: Settings): string {
  return path ?? bucket ?? "backups";
}

/** The address with its credentials. */
async function storageAddress(
  settings: Settings,
  secret: Resolve,
): Promise<{ url: string; variables: Record<string, string> }> {
  const { backupStorageType: type } = settings;
  if (type === "local") return { url: pathToFileURL(directoryOf(settings)).href, variables: {} };
  const { url, credentials } = settingsAddress(settings);
  const variables: Record<string, string> = {};
  for (const credential of credentials) {
    const value = await storageCredential(type, credential, secret);
    if (value !== null) variables[credential.variable] = value;
  }
  return { url, variables };
}

/** Null where the storage can do without and nothing is set. */
async function storageCredential(
  type: string,
  { reference, setting, optional = false }: Credential,
  secret: Resolve,
): Promise<string | null> {
  const value = reference === undefined ? "" : (await secret(reference)).reveal();
  if (value === "" && optional) return null;
  if (value !== "" && !/^your-/i.test(value)) return value;
  const why = value === "" ? "is not set" : "is a placeholder";
  throw new BackupError("invalid_config", `Cannot use the ${type} storage: its ${setting} ${why}`, {
    hint: `supabase secrets set BACKUP_STORAGE_${setting}=…`,
  });
}

/** @throws `repository_missing` unless `create` is set, `key_missing`, `key_wrong`, `storage_*` */
export async function openSettingsRepository(
  settings: Settings,
  { storage, create, secret }: { storage: Storage; create: boolean; secret: Resolve },
): Promise<Repository> {
  const key = await encryptionKey(settings, secret);
  const compression = compressionOf(settings);
  try {
    return await openRepository({ storage, key, compression });
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code !== "repository_missing" || !create) throw failure;
  }
  return await createRepository({ storage, key, compression });
}

/** Levels of zstd by those of the settings, where they differ: what costs about as much as gzip's does. */
const ZSTD_LEVELS = new Map([1, 1, 1, 1, 1, 1, 3, 6].map((level, index) => [index + 1, level]));

function compressionOf(settings: Settings): Compression {
  const { enableCompression, compressionAlgorithm: algorithm, compressionLevel: level } = settings;
  if (!enableCompression) return { algorithm: "none", level: 0 };
  return { algorithm, level: algorithm === "zstd" ? ZSTD_LEVELS.get(level) ?? level : level };
}

/**
 * Null where encryption is off.
 *
 * @throws `key_missing` where it is on and no key is set, `key_weak` also where nothing is stored yet
 */
async function encryptionKey(settings: Settings, secret: Resolve): Promise<Secret | null> {
  if (!settings.enableEncryption) return null;
  const reference = settings.encryptionKey ?? "env:BACKUP_ENCRYPTION_KEY";
  const refuse = (code: "key_missing" | "key_weak", message: string, cause: unknown) =>
    new BackupError(code, message, {
      hint: "Make a key with: openssl rand -base64 32. Keep a copy outside this project, then " +
        "supabase secrets set BACKUP_ENCRYPTION_KEY=<the key>.",
      cause,
    });
  let key: Secret;
  try {
    key = await secret(reference);
  } catch (cause) {
    if (toBackupError(cause).code !== "invalid_config") throw cause;
    const message = `Cannot open the repository: encryption is on and ${reference} is not set`;
    throw refuse("key_missing", message, cause);
  }
  try {
    readKeyInput(key);
    return key;
  } catch (cause) {
    const { code, message } = toBackupError(cause);
    if (code !== "key_weak" && code !== "key_missing") throw cause;
    throw refuse(code, message, cause);
  }
}
