/**
 * Every setting: name, bounds, effect, default. A request, a row of `backup_config` and the environment are
 * all checked by this one schema, and `docs/settings.md` is made from it.
 *
 * @module
 */
import { z } from "zod";
import { destinationsSchema, placeIssues } from "./destinations.ts";
import { CHANNELS } from "./notify_event.ts";
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

/**
 * A reference to where messages go or what proves them. Its value is sent out, so a change of settings must
 * not be able to name another secret of the function.
 */
function channelSecret(prefix: string) {
  return secretReference.regex(
    new RegExp(`^(env:BACKUP_${prefix}_|vault://backup)`),
    `must be env:BACKUP_${prefix}_… or vault://backup…, never the value itself`,
  );
}

const hours = z.number().positive().max(8784);
const days = z.number().int().min(1).max(3660);
const pattern = z.string().min(1).max(130);
const mailAddress = z.string().max(320).regex(
  /^([^<>\p{Cc}]{1,200} <[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/u,
);
const tableName = z.string().max(130).regex(
  /^("([^"]|"")+"|[^".]+)\.("([^"]|"")+"|[^".]+)$/,
);

/** Settings that say whether, when and for how long each type is backed up. */
const TYPES = {
  enableDatabaseBackup: z.boolean().describe("Databases are backed up."),
  enableFunctionBackup: z.boolean().describe("Edge Functions are backed up."),
  enableConfigBackup: z.boolean().describe("The project's configuration is backed up."),
  enableSecretsBackup: z.boolean().describe("Names and digests of secrets are backed up."),
  enableFilesBackup: z.boolean().describe("Objects of Supabase Storage are backed up."),
  databaseBackupInterval: hours.describe("Hours between two backups of the database."),
  functionBackupInterval: hours.describe("Hours between two backups of Edge Functions."),
  configBackupInterval: hours.describe("Hours between two backups of the configuration."),
  secretsBackupInterval: hours.describe("Hours between two backups of secrets."),
  filesBackupInterval: hours.describe("Hours between two backups of files."),
  databaseBackupRetention: days.describe("Days that backups of the database are kept."),
  functionBackupRetention: days.describe("Days that backups of Edge Functions are kept."),
  configBackupRetention: days.describe("Days that backups of the configuration are kept."),
  secretsBackupRetention: days.describe("Days that backups of secrets are kept."),
  filesBackupRetention: days.describe("Days that backups of files are kept."),
  weeklyBackupsKept: z.number().int().min(0).max(520).describe(
    "Weeks, beyond the days, of which the newest backup of the database is kept.",
  ),
  monthlyBackupsKept: z.number().int().min(0).max(240).describe(
    "Months, beyond the days, of which the newest backup of the database is kept.",
  ),
  manualBackupRetention: days.describe(
    "Days that backups with a reason, and the ways back of restores, are kept at least.",
  ),
  minimumBackupsKept: z.number().int().min(1).max(1000).describe(
    "Good backups of each type that are kept however old they are.",
  ),
  cleanupGraceHours: z.number().min(1).max(8784).describe(
    "Hours between the cleanup that finds space to free and the one that frees it.",
  ),
};

/** Settings of where and how backups are stored. */
const STORAGE = {
  backupStorageType: storageTypeSchema.describe("Kind of the storage that backups go to."),
  backupStorageConfig: storageConfigSchema.describe("Where that storage is, and its credentials."),
  destinations: destinationsSchema.describe(
    "Further places that backups are copied to, see destinations.md.",
  ),
  enableEncryption: z.boolean().describe("Backups are encrypted with AES-256."),
  encryptionKey: secretReference.optional().describe(
    "Where the key is: 32 random bytes as base64 or hex, or a passphrase.",
  ),
  enableCompression: z.boolean().describe("Backups are compressed."),
  compressionLevel: z.number().int().min(1).max(19).describe(
    "Higher is smaller and takes longer, on gzip's scale of 1 to 9 whatever the algorithm; 10 to 19 are " +
      "zstd's own highest.",
  ),
  compressionAlgorithm: z.enum(["zstd", "gzip"]).describe("How backups are compressed."),
};

/** Settings of verification and of telling people. */
const WATCH = {
  enableBackupVerification: z.boolean().describe("Stored backups are verified on their own."),
  verificationInterval: hours.describe("Hours between two verifications."),
  enableBackupNotifications: z.boolean().describe(
    "People are told of failures; off silences all but what a plan or a person sends by name.",
  ),
  notificationChannels: z.array(z.enum(CHANNELS)).max(20).describe(
    "Where messages go; each needs its address, see notifications.md. Unless somebody names them: every " +
      "channel that has one.",
  ),
  failureNotificationThreshold: z.number().int().min(1).max(1000).describe(
    "The first failure is told of, and the one of this number again, as an escalation.",
  ),
  notifyOnSuccess: z.boolean().describe("Backups that end well are told of too."),
  emailTo: z.array(mailAddress).max(50).describe("Who gets e-mail."),
  emailFrom: mailAddress.optional().describe(
    "Sender of e-mail, of a domain that the mail API knows.",
  ),
  emailApiUrl: z.url({ protocol: /^https?$/ }).max(2000).describe(
    "Mail API that takes `POST` of `{from, to, subject, text, html}` with the key as Bearer.",
  ),
  emailApiKey: channelSecret("EMAIL").optional().describe("Key of the mail API."),
  slackWebhookUrl: channelSecret("SLACK").optional().describe("Slack's incoming webhook."),
  webhookUrl: channelSecret("WEBHOOK").optional().describe("Address that messages are posted to."),
  webhookSecret: channelSecret("WEBHOOK").optional().describe(
    "Signs what is posted there, so that the receiver can tell who sent it.",
  ),
  pagerdutyRoutingKey: channelSecret("PAGERDUTY").optional().describe(
    "Integration key of PagerDuty's Events API v2.",
  ),
};

/** Settings of how a backup reads the database. */
const DATABASE = {
  databaseProfile: z.enum(["auto", "supabase", "plain"]).describe(
    "Whether the database is one of Supabase, whose own objects are treated apart.",
  ),
  databaseConnections: z.number().int().min(1).max(16).describe(
    "Connections that read or load at a time.",
  ),
  excludeSchemas: z.array(pattern).max(200).describe(
    "Schemas that are left out, as patterns with `*` and `?`.",
  ),
  excludeTables: z.array(pattern).max(1000).describe("Tables that are left out, as patterns."),
  excludeTableData: z.array(pattern).max(1000).describe(
    "Tables whose rows are left out, as patterns.",
  ),
  criticalTables: z.array(pattern).max(1000).describe(
    "Tables whose rows are backed up and restored before those of others, as patterns of schema.table.",
  ),
  lockTimeoutSeconds: z.number().int().min(1).max(3600).describe(
    "How long one try of a backup or restore waits for a table's lock; a job tries 8 times, with pauses " +
      "that grow to 32 seconds, the command line once.",
  ),
  yieldToWaitersSeconds: z.number().int().min(1).max(86400).optional().describe(
    "How long others may wait behind a backup's locks before it gives way; unset: for ever.",
  ),
  maxKeeperSeconds: z.number().int().min(60).max(604800).describe(
    "When a backup's moment that pg_cron holds ends by itself.",
  ),
  onRunningBackup: z.enum(["refuse", "join"]).describe(
    "What is answered to a backup that is asked for while one runs: 409, or the running one.",
  ),
  databaseDiskBytes: z.number().int().positive().optional().describe(
    "Size of the database's disk: restore tests need twice the space and are refused without it.",
  ),
};

/** Everything else. */
const SERVICE = {
  allowLegacyServiceRoleKey: z.boolean().describe("The service-role JWT may call."),
  maxWorkers: z.number().int().min(1).max(32).describe("Workers at a job at a time."),
  workerCpuSeconds: z.number().positive().max(86400).optional().describe(
    "CPU time of one worker before it hands over; unset: 2 in a function, else none.",
  ),
  workerMemoryMb: z.number().int().min(64).max(65536).optional().describe(
    "Memory of one worker; unset: 256 in a function, else none.",
  ),
  workerWallSeconds: z.number().int().min(20).max(604800).optional().describe(
    "Time of one worker before it hands over; unset: 150 in a function, else none.",
  ),
  confirmedKeyId: z.string().regex(/^[0-9a-f]{16}$/).optional().describe(
    "Fingerprint of the key whose copy outside was confirmed; `init` sets it.",
  ),
  settingsTables: z.array(tableName).max(50).describe(
    "Small tables with settings: a backup of the configuration keeps their rows.",
  ),
  plainVariables: z.array(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/),
  ).max(200).describe(
    "Variables that are no secrets: a backup of the configuration keeps their values.",
  ),
  vaultKey: vaultKey.optional().describe(
    "Key that seals the contents of the Vault, other than the encryption key; unset: names only.",
  ),
};

/** Every setting, in the order of the documentation. */
export const settingsSchema = z.strictObject({
  ...TYPES,
  ...STORAGE,
  ...WATCH,
  ...DATABASE,
  ...SERVICE,
}).superRefine((settings, context) => {
  if (settings.compressionAlgorithm === "gzip" && settings.compressionLevel > 9) {
    context.addIssue({
      code: "custom",
      path: ["compressionLevel"],
      message: "gzip has levels 1 to 9",
    });
  }
  const { backupStorageType, backupStorageConfig } = settings;
  for (const { field, message } of storageIssues(backupStorageType, backupStorageConfig)) {
    context.addIssue({ code: "custom", path: ["backupStorageConfig", field], message });
  }
  for (const issue of placeIssues(settings)) context.addIssue({ code: "custom", ...issue });
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
  weeklyBackupsKept: 4,
  monthlyBackupsKept: 12,
  manualBackupRetention: 90,
  minimumBackupsKept: 1,
  cleanupGraceHours: 12,
  backupStorageType: "local",
  backupStorageConfig: {},
  destinations: [],
  enableEncryption: true,
  encryptionKey: "env:BACKUP_ENCRYPTION_KEY",
  enableCompression: true,
  compressionLevel: 6,
  compressionAlgorithm: "zstd",
  enableBackupVerification: true,
  verificationInterval: 24,
  enableBackupNotifications: true,
  notificationChannels: ["email", "slack"],
  failureNotificationThreshold: 3,
  notifyOnSuccess: false,
  emailTo: [],
  emailApiUrl: "https://api.resend.com/emails",
  databaseProfile: "auto",
  databaseConnections: 4,
  excludeSchemas: [],
  excludeTables: [],
  excludeTableData: [],
  criticalTables: [],
  lockTimeoutSeconds: 30,
  maxKeeperSeconds: 43_200,
  onRunningBackup: "refuse",
  allowLegacyServiceRoleKey: true,
  maxWorkers: 4,
  settingsTables: [],
  plainVariables: [],
};
