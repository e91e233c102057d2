/**
 * The only reader of the environment, and the two functions for programs that set the service up.
 *
 * @module
 */
import type { Environment, NamedKey } from "./core/environment.ts";
import { BackupError } from "./core/errors.ts";
import { Secret } from "./core/secret.ts";
import { mergeSettings, type Settings, type SettingsPatch } from "./core/settings.ts";

type Read = (name: string) => string | undefined;

/** What a program said through {@linkcode initializeBackup}; lies over the environment. */
let programmed: SettingsPatch = {};

/**
 * Sets the service up from a program: the settings given lie over the environment's.
 *
 * @returns the settings in force
 * @throws `invalid_config` when one is unknown or impossible
 * @example
 * ```ts
 * initializeBackup({ enableDatabaseBackup: true, databaseBackupInterval: 24 });
 * ```
 */
export function initializeBackup(config: SettingsPatch = {}): Settings {
  return program({ ...config });
}

/** Changes some of the settings that a program gave. @throws as {@linkcode initializeBackup} */
export function updateBackupConfig(updates: SettingsPatch): Settings {
  return program({ ...programmed, ...updates });
}

function program(patch: SettingsPatch): Settings {
  const settings = mergeSettings([
    { name: "the environment", patch: readSettings(readVariable) },
    { name: "the program", patch },
  ]);
  programmed = patch;
  return settings;
}

function readVariable(name: string): string | undefined {
  const value = Deno.env.get(name);
  return value === undefined || value === "" ? undefined : value;
}

/**
 * Reads the environment.
 *
 * @throws `invalid_config` naming the variable that cannot be read; never its value
 */
export function readEnvironment(read: Read = readVariable): Environment {
  const url = read("BACKUP_DATABASE_URL") ?? read("SUPABASE_DB_URL");
  const hosted = ["SB_EXECUTION_ID", "DENO_DEPLOYMENT_ID"].some((name) => read(name) !== undefined);
  const edgeRuntime = hosted || "EdgeRuntime" in globalThis;
  return {
    settings: { ...readSettings(read), ...programmed },
    databaseUrl: url === undefined ? null : new Secret(url),
    secretKeys: readKeys(read, "SUPABASE_SECRET_KEYS"),
    serviceRoleKey: optionalSecret(read("SUPABASE_SERVICE_ROLE_KEY")),
    publicKeys: [
      ...readKeys(read, "SUPABASE_PUBLISHABLE_KEYS").map((named) => named.key),
      ...(read("SUPABASE_ANON_KEY") === undefined
        ? []
        : [new Secret(read("SUPABASE_ANON_KEY") as string)]),
    ],
    allowedKeys: readList(read("BACKUP_ALLOWED_KEYS")) ?? null,
    allowedHosts: readList(read("BACKUP_ALLOWED_HOSTS")) ?? null,
    adminKey: optionalSecret(read("BACKUP_ADMIN_KEY")),
    hosted,
    edgeRuntime,
    projectRef: projectRef(read),
    management: {
      url: read("BACKUP_MANAGEMENT_URL") ?? "https://api.supabase.com",
      token: optionalSecret(read("BACKUP_MANAGEMENT_TOKEN")),
    },
    functionUrl: functionUrl(read, edgeRuntime),
    variable: read,
  };
}

/** Settings by variable: name of the variable, name of the setting, how its text is read. */
const VARIABLES: readonly [string, keyof Settings, (text: string) => unknown][] = [
  ["BACKUP_ENABLE_DATABASE_BACKUP", "enableDatabaseBackup", toBoolean],
  ["BACKUP_ENABLE_FUNCTION_BACKUP", "enableFunctionBackup", toBoolean],
  ["BACKUP_ENABLE_CONFIG_BACKUP", "enableConfigBackup", toBoolean],
  ["BACKUP_ENABLE_SECRETS_BACKUP", "enableSecretsBackup", toBoolean],
  ["BACKUP_ENABLE_FILES_BACKUP", "enableFilesBackup", toBoolean],
  ["BACKUP_DATABASE_INTERVAL", "databaseBackupInterval", toNumber],
  ["BACKUP_FUNCTION_INTERVAL", "functionBackupInterval", toNumber],
  ["BACKUP_CONFIG_INTERVAL", "configBackupInterval", toNumber],
  ["BACKUP_SECRETS_INTERVAL", "secretsBackupInterval", toNumber],
  ["BACKUP_FILES_INTERVAL", "filesBackupInterval", toNumber],
  ["BACKUP_DATABASE_RETENTION", "databaseBackupRetention", toNumber],
  ["BACKUP_FUNCTION_RETENTION", "functionBackupRetention", toNumber],
  ["BACKUP_CONFIG_RETENTION", "configBackupRetention", toNumber],
  ["BACKUP_SECRETS_RETENTION", "secretsBackupRetention", toNumber],
  ["BACKUP_FILES_RETENTION", "filesBackupRetention", toNumber],
  ["BACKUP_STORAGE_TYPE", "backupStorageType", (text) => text],
  ["BACKUP_ENABLE_ENCRYPTION", "enableEncryption", toBoolean],
  ["BACKUP_ENABLE_COMPRESSION", "enableCompression", toBoolean],
  ["BACKUP_COMPRESSION_LEVEL", "compressionLevel", toNumber],
  ["BACKUP_COMPRESSION_ALGORITHM", "compressionAlgorithm", (text) => text],
  ["BACKUP_ENABLE_VERIFICATION", "enableBackupVerification", toBoolean],
  ["BACKUP_VERIFICATION_INTERVAL", "verificationInterval", toNumber],
  ["BACKUP_ENABLE_NOTIFICATIONS", "enableBackupNotifications", toBoolean],
  ["BACKUP_NOTIFICATION_CHANNELS", "notificationChannels", readList],
  ["BACKUP_FAILURE_THRESHOLD", "failureNotificationThreshold", toNumber],
  ["BACKUP_DATABASE_PROFILE", "databaseProfile", (text) => text],
  ["BACKUP_DATABASE_CONNECTIONS", "databaseConnections", toNumber],
  ["BACKUP_EXCLUDE_SCHEMAS", "excludeSchemas", readList],
  ["BACKUP_EXCLUDE_TABLES", "excludeTables", readList],
  ["BACKUP_EXCLUDE_TABLE_DATA", "excludeTableData", readList],
  ["BACKUP_LOCK_TIMEOUT_SECONDS", "lockTimeoutSeconds", toNumber],
  ["BACKUP_YIELD_TO_WAITERS_SECONDS", "yieldToWaitersSeconds", toNumber],
  ["BACKUP_MAX_KEEPER_SECONDS", "maxKeeperSeconds", toNumber],
  ["BACKUP_ON_RUNNING_BACKUP", "onRunningBackup", (text) => text],
  ["BACKUP_DATABASE_DISK_BYTES", "databaseDiskBytes", toNumber],
  ["BACKUP_SETTINGS_TABLES", "settingsTables", readList],
  ["BACKUP_PLAIN_VARIABLES", "plainVariables", readList],
  ["BACKUP_ALLOW_LEGACY_KEY", "allowLegacyServiceRoleKey", toBoolean],
  ["BACKUP_MAX_WORKERS", "maxWorkers", toNumber],
  ["BACKUP_WORKER_CPU_SECONDS", "workerCpuSeconds", toNumber],
  ["BACKUP_WORKER_MEMORY_MB", "workerMemoryMb", toNumber],
  ["BACKUP_WORKER_WALL_SECONDS", "workerWallSeconds", toNumber],
];

/** Parts of `backupStorageConfig` by variable. */
const STORAGE_VARIABLES = {
  bucket: "BACKUP_STORAGE_BUCKET",
  region: "BACKUP_STORAGE_REGION",
  endpoint: "BACKUP_STORAGE_ENDPOINT",
  prefix: "BACKUP_STORAGE_PREFIX",
  path: "BACKUP_STORAGE_PATH",
  account: "BACKUP_STORAGE_ACCOUNT",
  storageClass: "BACKUP_STORAGE_CLASS",
} as const;

function readSettings(read: Read): SettingsPatch {
  const patch: Record<string, unknown> = {};
  for (const [variable, key, parse] of VARIABLES) {
    const text = read(variable);
    if (text !== undefined) patch[key] = parse(text);
  }
  const storage: Record<string, unknown> = {};
  for (const [key, variable] of Object.entries(STORAGE_VARIABLES)) {
    const text = read(variable);
    if (text !== undefined) storage[key] = text;
  }
  for (
    const [key, variable] of [
      ["accessKey", "BACKUP_STORAGE_ACCESS_KEY"],
      ["secretKey", "BACKUP_STORAGE_SECRET_KEY"],
    ] as const
  ) {
    if (read(variable) !== undefined) storage[key] = `env:${variable}`;
  }
  const mode = read("BACKUP_STORAGE_LOCK_MODE");
  const days = read("BACKUP_STORAGE_LOCK_DAYS");
  if (mode !== undefined || days !== undefined) {
    storage.objectLock = { mode, days: days === undefined ? days : toNumber(days) };
  }
  const hold = read("BACKUP_STORAGE_LEGAL_HOLD");
  if (hold !== undefined) storage.legalHold = toBoolean(hold);
  if (Object.keys(storage).length > 0) patch.backupStorageConfig = storage;
  if (read("BACKUP_ENCRYPTION_KEY") !== undefined) {
    patch.encryptionKey = "env:BACKUP_ENCRYPTION_KEY";
  }
  if (read("BACKUP_VAULT_KEY") !== undefined) patch.vaultKey = "env:BACKUP_VAULT_KEY";
  return patch as SettingsPatch; // checked whenever settings are merged
}

/** Values that cannot be read stay text, so that the schema's check names the setting. */
function toBoolean(text: string): unknown {
  const known: Record<string, boolean> = { true: true, "1": true, false: false, "0": false };
  return known[text.toLowerCase()] ?? text;
}

function toNumber(text: string): unknown {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

function readList(text: string | undefined): string[] | undefined {
  return text?.split(",").map((item) => item.trim()).filter((item) => item !== "");
}

function optionalSecret(value: string | undefined): Secret | null {
  return value === undefined ? null : new Secret(value);
}

/** A JSON dictionary from key name to key. */
function readKeys(read: Read, variable: string): NamedKey[] {
  const text = read(variable);
  if (text === undefined) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null; // the parser's message would quote the value
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new BackupError("invalid_config", `Cannot read ${variable}: not a JSON object`, {
      hint: 'It is a dictionary such as {"default": "sb_secret_…"}.',
    });
  }
  return Object.entries(parsed)
    .filter((entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "")
    .map(([name, key]) => ({ name, key: new Secret(key) }));
}

/** On the platform all functions of a project are under its address; elsewhere it must be said. */
function functionUrl(read: Read, edgeRuntime: boolean): string | null {
  const own = read("BACKUP_FUNCTION_URL");
  if (own !== undefined) return own.replace(/\/$/, "");
  const project = edgeRuntime ? read("SUPABASE_URL") : undefined;
  return project === undefined ? null : `${project.replace(/\/$/, "")}/functions/v1/backup`;
}

/** @throws `invalid_config` when `BACKUP_PROJECT_REF` is not a ref */
function projectRef(read: Read): string | null {
  const own = read("BACKUP_PROJECT_REF");
  if (own !== undefined && !/^[a-z0-9]{20}$/.test(own)) {
    throw new BackupError("invalid_config", "Cannot read BACKUP_PROJECT_REF: not a project's ref", {
      hint: "It is the 20 letters of https://<ref>.supabase.co.",
    });
  }
  const url = /^https:\/\/([a-z0-9]{20})\.supabase\.(co|in|red)\/?$/;
  return own ?? url.exec(read("SUPABASE_URL") ?? "")?.[1] ?? null;
}
