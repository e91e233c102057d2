/**
 * The settings of the product: their names, bounds and defaults. A request, a row of `backup_config` and
 * the environment are all checked by this one schema.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "./errors.ts";
import {
  secretReference,
  storageConfigSchema,
  storageIssues,
  storageTypeSchema,
} from "./storage_settings.ts";

/**
 * A reference to the key that seals contents of the Vault. Not one in the Vault itself: a key locked into
 * what it opens is lost with it.
 */
const vaultKey = secretReference.regex(/^env:BACKUP_VAULT_/, "must be env:BACKUP_VAULT_…");

const hours = z.number().positive().max(8784);
const days = z.number().int().min(1).max(3660);
const pattern = z.string().min(1).max(130);

export { secretReference };

/** Every setting. */
export const settingsSchema = z.strictObject({
  enableDatabaseBackup: z.boolean(),
  enableFunctionBackup: z.boolean(),
  enableConfigBackup: z.boolean(),
  enableSecretsBackup: z.boolean(),
  enableFilesBackup: z.boolean(),
  databaseBackupInterval: hours,
  functionBackupInterval: hours,
  configBackupInterval: hours,
  secretsBackupInterval: hours,
  filesBackupInterval: hours,
  databaseBackupRetention: days,
  functionBackupRetention: days,
  configBackupRetention: days,
  secretsBackupRetention: days,
  filesBackupRetention: days,
  backupStorageType: storageTypeSchema,
  backupStorageConfig: storageConfigSchema,
  enableEncryption: z.boolean(),
  encryptionKey: secretReference.optional(),
  enableCompression: z.boolean(),
  compressionLevel: z.number().int().min(1).max(19),
  compressionAlgorithm: z.enum(["zstd", "gzip"]),
  enableBackupVerification: z.boolean(),
  verificationInterval: hours,
  enableBackupNotifications: z.boolean(),
  notificationChannels: z.array(z.string().min(1).max(64)).max(20),
  failureNotificationThreshold: z.number().int().min(1).max(1000),
  databaseProfile: z.enum(["auto", "supabase", "plain"]),
  databaseConnections: z.number().int().min(1).max(16),
  excludeSchemas: z.array(pattern).max(200),
  excludeTables: z.array(pattern).max(1000),
  excludeTableData: z.array(pattern).max(1000),
  lockTimeoutSeconds: z.number().int().min(1).max(3600),
  yieldToWaitersSeconds: z.number().int().min(1).max(86400).optional(),
  maxKeeperSeconds: z.number().int().min(60).max(604800),
  onRunningBackup: z.enum(["refuse", "join"]),
  allowLegacyServiceRoleKey: z.boolean(),
  maxWorkers: z.number().int().min(1).max(32),
  workerCpuSeconds: z.number().positive().max(86400).optional(),
  workerMemoryMb: z.number().int().min(64).max(65536).optional(),
  workerWallSeconds: z.number().int().min(20).max(604800).optional(),
  confirmedKeyId: z.string().regex(/^[0-9a-f]{16}$/, "is not a key's id").optional(),
  databaseDiskBytes: z.number().int().positive().optional(),
  settingsTables: z.array(
    z.string().max(130).regex(
      /^("([^"]|"")+"|[^".]+)\.("([^"]|"")+"|[^".]+)$/,
      "is not schema.table",
    ),
  ).max(50),
  plainVariables: z.array(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/, "is not a variable's name"),
  ).max(200),
  vaultKey: vaultKey.optional(),
}).superRefine((settings, context) => {
  if (settings.compressionAlgorithm === "gzip" && settings.compressionLevel > 9) {
    context.addIssue({
      code: "custom",
      path: ["compressionLevel"],
      message: "gzip has levels 1 to 9",
    });
  }
  for (const issue of storageIssues(settings.backupStorageType, settings.backupStorageConfig)) {
    context.addIssue({ code: "custom", ...issue });
  }
});

/** Settings in force. */
export type Settings = z.infer<typeof settingsSchema>;

/** Some of them, as a request, a row or the environment gives them. */
export const settingsPatchSchema = z.strictObject(settingsSchema.shape).partial();

/** See {@linkcode settingsPatchSchema}. */
export type SettingsPatch = z.infer<typeof settingsPatchSchema>;

/** What holds when nobody says otherwise. */
export const DEFAULT_SETTINGS: Settings = {
  enableDatabaseBackup: true,
  enableFunctionBackup: true,
  enableConfigBackup: true,
  enableSecretsBackup: true,
  enableFilesBackup: true,
  databaseBackupInterval: 24,
  functionBackupInterval: 168,
  configBackupInterval: 24,
  secretsBackupInterval: 168,
  filesBackupInterval: 24,
  databaseBackupRetention: 30,
  functionBackupRetention: 90,
  configBackupRetention: 365,
  secretsBackupRetention: 365,
  filesBackupRetention: 30,
  backupStorageType: "local",
  backupStorageConfig: {},
  enableEncryption: true,
  encryptionKey: "env:BACKUP_ENCRYPTION_KEY",
  enableCompression: true,
  compressionLevel: 1,
  compressionAlgorithm: "zstd",
  enableBackupVerification: true,
  verificationInterval: 24,
  enableBackupNotifications: true,
  notificationChannels: [],
  failureNotificationThreshold: 3,
  databaseProfile: "auto",
  databaseConnections: 4,
  excludeSchemas: [],
  excludeTables: [],
  excludeTableData: [],
  lockTimeoutSeconds: 30,
  maxKeeperSeconds: 43_200,
  onRunningBackup: "refuse",
  allowLegacyServiceRoleKey: true,
  maxWorkers: 4,
  settingsTables: [],
  plainVariables: [],
};

/** A layer of settings with a name for messages. */
export interface SettingsLayer {
  name: string;
  patch: unknown;
}

/**
 * The settings in force: defaults, then each layer over the ones before it.
 *
 * @throws `invalid_config` naming layer and path when a layer holds unknown keys or impossible values
 */
export function mergeSettings(layers: readonly SettingsLayer[]): Settings {
  let merged: Record<string, unknown> = { ...DEFAULT_SETTINGS };
  for (const layer of layers) {
    const parsed = settingsPatchSchema.safeParse(layer.patch);
    if (!parsed.success) throw invalidSettings(layer.name, parsed.error);
    merged = { ...merged, ...parsed.data };
  }
  if (!layers.some(({ patch }) => (patch as SettingsPatch).compressionLevel !== undefined)) {
    merged.compressionLevel = usualLevel(merged.compressionAlgorithm as Algorithm);
  }
  const whole = settingsSchema.safeParse(merged);
  if (!whole.success) throw invalidSettings("the settings together", whole.error);
  return whole.data;
}

type Algorithm = Settings["compressionAlgorithm"];

/**
 * What is compressed best for its CPU time: zstd needs seven times as much on level 6 as on level 1, which
 * a hosted function has not, and rows of tables hardly become smaller by it.
 */
function usualLevel(algorithm: Algorithm): number {
  return algorithm === "gzip" ? 6 : DEFAULT_SETTINGS.compressionLevel;
}

/** Keys that only the environment may say once it says them: where backups go and how they are sealed. */
export const ENVIRONMENT_BOUND = [
  "backupStorageType",
  "backupStorageConfig",
  "enableEncryption",
  "encryptionKey",
  "vaultKey",
  "allowLegacyServiceRoleKey",
] as const satisfies readonly (keyof Settings)[];

/** Retention that the environment sets is a minimum: a row may only lengthen it. */
export const ENVIRONMENT_MINIMUM = [
  "databaseBackupRetention",
  "functionBackupRetention",
  "configBackupRetention",
  "secretsBackupRetention",
  "filesBackupRetention",
] as const satisfies readonly (keyof Settings)[];

/**
 * Refuses a change of what the environment has fixed.
 *
 * @throws `invalid_config` naming the keys
 */
export function checkAgainstEnvironment(patch: SettingsPatch, environment: SettingsPatch): void {
  const fixed = ENVIRONMENT_BOUND.filter((key) =>
    patch[key] !== undefined && environment[key] !== undefined &&
    JSON.stringify(patch[key]) !== JSON.stringify(environment[key])
  );
  const shortened = ENVIRONMENT_MINIMUM.filter((key) =>
    patch[key] !== undefined && environment[key] !== undefined && patch[key] < environment[key]
  );
  const keys = [...fixed, ...shortened];
  if (keys.length === 0) return;
  throw new BackupError(
    "invalid_config",
    `Cannot change ${keys.join(", ")}: the environment of the function fixes it`,
    {
      hint: "Change the function's secrets (supabase secrets set …) instead.",
      details: { keys },
    },
  );
}

/**
 * Rows without what the environment has fixed: a row can be written by other ways than a checked change,
 * and the environment may have been set after it.
 */
export function underEnvironment(
  rows: Record<string, unknown>,
  environment: SettingsPatch,
): Record<string, unknown> {
  const kept = Object.entries(rows).filter(([key, value]) => {
    const fixed = environment[key as keyof Settings];
    if (fixed === undefined) return true;
    const shortened = (ENVIRONMENT_MINIMUM as readonly string[]).includes(key) &&
      typeof value === "number" && value < Number(fixed);
    return !shortened && !(ENVIRONMENT_BOUND as readonly string[]).includes(key);
  });
  return Object.fromEntries(kept);
}

function invalidSettings(layer: string, error: z.ZodError): BackupError {
  const issues = describeIssues(error);
  return new BackupError(
    "invalid_config",
    `Cannot use the settings of ${layer}: ${
      issues.map((i) => `${i.path}: ${i.message}`).join("; ")
    }`,
    { hint: "Correct or remove these settings.", details: { issues } },
  );
}

/** Path and message of everything a schema found wrong; values are left out. */
export function describeIssues(error: z.ZodError): { path: string; message: string }[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String).join(".");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        path: path === "" ? key : `${path}.${key}`,
        message: "is not known",
      }));
    }
    return [{ path, message: issue.message }];
  });
}
