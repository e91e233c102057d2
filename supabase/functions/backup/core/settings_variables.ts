/**
 * Which variable of the environment says which setting, and how its text is read.
 *
 * @module
 */
import type { Settings, SettingsPatch } from "./settings_schema.ts";
import type { StorageConfig } from "./storage_settings.ts";

/** How the text of a variable becomes a value. */
export type Form = "text" | "number" | "switch" | "list" | "secret" | "json";

/** Variable, setting, and form of its text. */
export const SETTING_VARIABLES: readonly (readonly [string, keyof Settings, Form])[] = [
  ["BACKUP_ENABLE_DATABASE_BACKUP", "enableDatabaseBackup", "switch"],
  ["BACKUP_ENABLE_FUNCTION_BACKUP", "enableFunctionBackup", "switch"],
  ["BACKUP_ENABLE_CONFIG_BACKUP", "enableConfigBackup", "switch"],
  ["BACKUP_ENABLE_SECRETS_BACKUP", "enableSecretsBackup", "switch"],
  ["BACKUP_ENABLE_FILES_BACKUP", "enableFilesBackup", "switch"],
  ["BACKUP_DATABASE_INTERVAL", "databaseBackupInterval", "number"],
  ["BACKUP_FUNCTION_INTERVAL", "functionBackupInterval", "number"],
  ["BACKUP_CONFIG_INTERVAL", "configBackupInterval", "number"],
  ["BACKUP_SECRETS_INTERVAL", "secretsBackupInterval", "number"],
  ["BACKUP_FILES_INTERVAL", "filesBackupInterval", "number"],
  ["BACKUP_DATABASE_RETENTION", "databaseBackupRetention", "number"],
  ["BACKUP_FUNCTION_RETENTION", "functionBackupRetention", "number"],
  ["BACKUP_CONFIG_RETENTION", "configBackupRetention", "number"],
  ["BACKUP_SECRETS_RETENTION", "secretsBackupRetention", "number"],
  ["BACKUP_FILES_RETENTION", "filesBackupRetention", "number"],
  ["BACKUP_WEEKLY_KEPT", "weeklyBackupsKept", "number"],
  ["BACKUP_MONTHLY_KEPT", "monthlyBackupsKept", "number"],
  ["BACKUP_MANUAL_RETENTION", "manualBackupRetention", "number"],
  ["BACKUP_MINIMUM_KEPT", "minimumBackupsKept", "number"],
  ["BACKUP_CLEANUP_GRACE_HOURS", "cleanupGraceHours", "number"],
  ["BACKUP_STORAGE_TYPE", "backupStorageType", "text"],
  ["BACKUP_DESTINATIONS", "destinations", "json"],
  ["BACKUP_ENABLE_ENCRYPTION", "enableEncryption", "switch"],
  ["BACKUP_ENCRYPTION_KEY", "encryptionKey", "secret"],
  ["BACKUP_ENABLE_COMPRESSION", "enableCompression", "switch"],
  ["BACKUP_COMPRESSION_LEVEL", "compressionLevel", "number"],
  ["BACKUP_COMPRESSION_ALGORITHM", "compressionAlgorithm", "text"],
  ["BACKUP_ENABLE_VERIFICATION", "enableBackupVerification", "switch"],
  ["BACKUP_VERIFICATION_INTERVAL", "verificationInterval", "number"],
  ["BACKUP_ENABLE_NOTIFICATIONS", "enableBackupNotifications", "switch"],
  ["BACKUP_NOTIFICATION_CHANNELS", "notificationChannels", "list"],
  ["BACKUP_FAILURE_THRESHOLD", "failureNotificationThreshold", "number"],
  ["BACKUP_NOTIFY_ON_SUCCESS", "notifyOnSuccess", "switch"],
  ["BACKUP_EMAIL_TO", "emailTo", "list"],
  ["BACKUP_EMAIL_FROM", "emailFrom", "text"],
  ["BACKUP_EMAIL_API_URL", "emailApiUrl", "text"],
  ["BACKUP_EMAIL_API_KEY", "emailApiKey", "secret"],
  ["BACKUP_SLACK_WEBHOOK_URL", "slackWebhookUrl", "secret"],
  ["BACKUP_WEBHOOK_URL", "webhookUrl", "secret"],
  ["BACKUP_WEBHOOK_SECRET", "webhookSecret", "secret"],
  ["BACKUP_PAGERDUTY_ROUTING_KEY", "pagerdutyRoutingKey", "secret"],
  ["BACKUP_DATABASE_PROFILE", "databaseProfile", "text"],
  ["BACKUP_DATABASE_CONNECTIONS", "databaseConnections", "number"],
  ["BACKUP_EXCLUDE_SCHEMAS", "excludeSchemas", "list"],
  ["BACKUP_EXCLUDE_TABLES", "excludeTables", "list"],
  ["BACKUP_EXCLUDE_TABLE_DATA", "excludeTableData", "list"],
  ["BACKUP_CRITICAL_TABLES", "criticalTables", "list"],
  ["BACKUP_LOCK_TIMEOUT_SECONDS", "lockTimeoutSeconds", "number"],
  ["BACKUP_YIELD_TO_WAITERS_SECONDS", "yieldToWaitersSeconds", "number"],
  ["BACKUP_MAX_KEEPER_SECONDS", "maxKeeperSeconds", "number"],
  ["BACKUP_ON_RUNNING_BACKUP", "onRunningBackup", "text"],
  ["BACKUP_DATABASE_DISK_BYTES", "databaseDiskBytes", "number"],
  ["BACKUP_SETTINGS_TABLES", "settingsTables", "list"],
  ["BACKUP_PLAIN_VARIABLES", "plainVariables", "list"],
  ["BACKUP_VAULT_KEY", "vaultKey", "secret"],
  ["BACKUP_ALLOW_LEGACY_KEY", "allowLegacyServiceRoleKey", "switch"],
  ["BACKUP_MAX_WORKERS", "maxWorkers", "number"],
  ["BACKUP_WORKER_CPU_SECONDS", "workerCpuSeconds", "number"],
  ["BACKUP_WORKER_MEMORY_MB", "workerMemoryMb", "number"],
  ["BACKUP_WORKER_WALL_SECONDS", "workerWallSeconds", "number"],
];

/** Variable, field of `backupStorageConfig`, and form of its text. */
export const STORAGE_VARIABLES: readonly (readonly [
  string,
  Exclude<keyof StorageConfig, "objectLock"> | "objectLock.mode" | "objectLock.days",
  Form,
])[] = [
  ["BACKUP_STORAGE_BUCKET", "bucket", "text"],
  ["BACKUP_STORAGE_REGION", "region", "text"],
  ["BACKUP_STORAGE_ENDPOINT", "endpoint", "text"],
  ["BACKUP_STORAGE_PREFIX", "prefix", "text"],
  ["BACKUP_STORAGE_PATH", "path", "text"],
  ["BACKUP_STORAGE_ACCOUNT", "account", "text"],
  ["BACKUP_STORAGE_ACCESS_KEY", "accessKey", "secret"],
  ["BACKUP_STORAGE_SECRET_KEY", "secretKey", "secret"],
  ["BACKUP_STORAGE_CLASS", "storageClass", "text"],
  ["BACKUP_STORAGE_LOCK_MODE", "objectLock.mode", "text"],
  ["BACKUP_STORAGE_LOCK_DAYS", "objectLock.days", "number"],
  ["BACKUP_STORAGE_LEGAL_HOLD", "legalHold", "switch"],
];

/** The variable that says the setting at this path; undefined when none does. */
export function variableOf(path: string): string | undefined {
  const [first = "", ...rest] = path.split(".");
  const field = rest.join(".");
  return first === "backupStorageConfig"
    ? STORAGE_VARIABLES.find(([, name]) => name === field)?.[0]
    : SETTING_VARIABLES.find(([, key]) => key === first)?.[0];
}

/** What to set for a field of storage: its variable, or the field of a destination by that one's name. */
export function storageFieldName(field: keyof StorageConfig, destination?: string): string {
  return destination === undefined
    ? STORAGE_VARIABLES.find(([, name]) => name === field)?.[0] ?? field
    : `${field} of ${destination} in BACKUP_DESTINATIONS`;
}

/** The settings that variables say, unchecked: they are checked whenever settings are merged. */
export function settingsOfVariables(read: (name: string) => string | undefined): SettingsPatch {
  const patch: Record<string, unknown> = {};
  for (const [variable, key, form] of SETTING_VARIABLES) {
    const text = read(variable);
    if (text !== undefined) patch[key] = valueOf(text, { variable, form });
  }
  const storage: Record<string, unknown> = {};
  const lock: Record<string, unknown> = {};
  for (const [variable, key, form] of STORAGE_VARIABLES) {
    const text = read(variable);
    if (text === undefined) continue;
    const [field, inner] = key.split(".") as [string, string?];
    if (inner === undefined) storage[field] = valueOf(text, { variable, form });
    else lock[inner] = valueOf(text, { variable, form });
  }
  if (Object.keys(lock).length > 0) storage.objectLock = lock;
  if (Object.keys(storage).length > 0) patch.backupStorageConfig = storage;
  return patch as SettingsPatch;
}

/** Text that cannot be read stays text, so that the schema's check names the setting. */
function valueOf(text: string, { variable, form }: { variable: string; form: Form }): unknown {
  switch (form) {
    case "switch":
      return { true: true, "1": true, false: false, "0": false }[text.toLowerCase()] ?? text;
    case "number":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
    case "list":
      return readList(text);
    case "secret":
      return `env:${variable}`;
    case "json":
      return readJson(text);
    case "text":
      return text;
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Items of a list that is written with commas. */
export function readList(text: string): string[] {
  return text.split(",").map((item) => item.trim()).filter((item) => item !== "");
}
