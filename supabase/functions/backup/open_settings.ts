/**
 * Opens what the settings name: the storage and the repository in it; and says how a thread opens the same.
 *
 * @module
 */
import { pathToFileURL } from "node:url";
import { checkEndpoint, checkStorageHost } from "./core/allowed_hosts.ts";
import { settingsAt } from "./core/destinations.ts";
import type { Environment } from "./core/environment.ts";
import { BackupError, toBackupError } from "./core/errors.ts";
import type { Secret } from "./core/secret.ts";
import type { Settings } from "./core/settings.ts";
import { storageFieldName } from "./core/settings_variables.ts";
import { type FilesAccess, filesAccess } from "./project/mod.ts";
import {
  type Compression,
  createRepository,
  openRepository,
  readKeyInput,
  type Repository,
} from "./repository/mod.ts";
import { countedStorage } from "./storage/counted.ts";
import { destinationStorage, withHintsOf } from "./storage/destination_storage.ts";
import { localStorage } from "./storage/local.ts";
import { openStorage } from "./storage/open.ts";
import { type Credential, settingsAddress } from "./storage/settings_address.ts";
import type { Storage } from "./storage/storage.ts";

/** What a reference of the settings stands for. */
type Resolve = (reference: string) => Promise<Secret>;

/** Which storage is opened, and with what. */
interface Opening {
  environment: Environment;
  secret: Resolve;
  /** Name of a destination; the primary storage without it. */
  destination?: string | undefined;
}

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

/** For threads that copy rows. @throws `invalid_config` when the storage or the key cannot be reached */
export async function threadAccess(
  settings: Settings,
  environment: Environment,
  secret: Resolve,
): Promise<ThreadAccess> {
  const { url, variables } = await storageAddress(settings, { environment, secret });
  return {
    databaseUrl: environment.databaseUrl?.reveal() ?? "",
    ...{ repositoryUrl: url, storageVariables: variables },
    key: (await encryptionKey(settings, secret))?.reveal() ?? null,
    compression: compressionOf(settings),
  };
}

/** The same for threads that save files. @throws as that, and when the files cannot be reached */
export async function filesThreadAccess(
  ...[settings, environment, secret]: Parameters<typeof threadAccess>
): Promise<ThreadAccess> {
  const access = await threadAccess(settings, environment, secret);
  return { ...access, files: filesAccess(environment) };
}

/**
 * @throws `invalid_config` when none is set up, `invalid_request` for a destination that there is not
 */
export async function openSettingsStorage(settings: Settings, opening: Opening): Promise<Storage> {
  const { environment: rules, destination } = opening;
  checkStorageHost(settings, rules, { destination });
  const there = settingsAt(settings, destination);
  if (there.backupStorageType === "local") {
    if (rules.hosted) throw noDisk(destination);
    return countedStorage(localStorage(directoryOf(there)));
  }
  const { url, variables } = await storageAddress(settings, opening);
  const allow = (endpoint: string) => checkEndpoint(endpoint, { settings, rules, destination });
  const open = () => openStorage(url, (name) => variables[name], { allow });
  if (destination === undefined) return countedStorage(open());
  try {
    const { endpoint, region } = there.backupStorageConfig;
    return countedStorage(destinationStorage(open(), { destination, endpoint, region }));
  } catch (error) {
    throw withHintsOf(destination, error);
  }
}

function noDisk(destination: string | undefined): BackupError {
  const [what, hint] = destination === undefined
    ? [
      "keep backups",
      "supabase secrets set BACKUP_STORAGE_TYPE=s3 BACKUP_STORAGE_BUCKET=… " +
      "BACKUP_STORAGE_REGION=… BACKUP_STORAGE_ACCESS_KEY=… BACKUP_STORAGE_SECRET_KEY=…",
    ]
    : [
      `keep the copy ${destination}`,
      `Set type of ${destination} in BACKUP_DESTINATIONS to s3, gcs, azure or supabase.`,
    ];
  return new BackupError(
    "invalid_config",
    `Cannot ${what} on local storage here: the function's disk is gone after each call`,
    { hint },
  );
}

function directoryOf({ backupStorageConfig: { path, bucket } }: Settings): string {
  return path ?? bucket ?? "backups";
}

/** The address with its credentials. */
async function storageAddress(
  settings: Settings,
  opening: Opening,
): Promise<{ url: string; variables: Record<string, string> }> {
  const there = settingsAt(settings, opening.destination);
  const { backupStorageType: type } = there;
  if (type === "local") return { url: pathToFileURL(directoryOf(there)).href, variables: {} };
  const { url, credentials } = settingsAddress(settings, opening);
  const variables: Record<string, string> = {};
  for (const credential of credentials) {
    const value = await storageCredential(type, credential, opening);
    if (value !== null) variables[credential.variable] = value;
  }
  return { url, variables };
}

/** Null where the storage can do without and nothing is set. */
async function storageCredential(
  type: string,
  { reference, field, optional = false }: Credential,
  { secret, destination }: Opening,
): Promise<string | null> {
  const value = reference === undefined ? "" : (await secret(reference)).reveal();
  if (value === "" && optional) return null;
  if (value !== "" && !/^your-/i.test(value)) return value;
  const why = value === "" ? "is not set" : "is a placeholder";
  const name = storageFieldName(field, destination);
  const [storage, credential, hint] = destination === undefined
    ? [`${type} storage`, name.replace("BACKUP_STORAGE_", ""), `supabase secrets set ${name}=…`]
    : [
      `${type} storage of ${destination}`,
      field,
      `Set ${name} to a reference, as env:BACKUP_STORAGE_…, and that variable to the value.`,
    ];
  throw new BackupError("invalid_config", `Cannot use the ${storage}: its ${credential} ${why}`, {
    hint,
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
