import assert from "node:assert/strict";
import { settingsPage } from "../../../scripts/write_settings.ts";
import { initializeBackup, readEnvironment, updateBackupConfig } from "./config.ts";
import { BackupError } from "./core/errors.ts";
import { DEFAULT_SETTINGS, mergeSettings, type Settings } from "./core/settings.ts";
import { SETTING_VARIABLES, STORAGE_VARIABLES } from "./core/settings_variables.ts";

/** The settings that variables make. */
function settingsOf(variables: Record<string, string>): Settings {
  const { settings } = readEnvironment((name) => variables[name]);
  return mergeSettings([{ name: "the environment", patch: settings }]);
}

/** Variable, field, the guide's value, another value, and what that is as a setting. */
const GUIDE: readonly [string, keyof Settings, string, string, unknown][] = [
  ["BACKUP_ENABLE_DATABASE_BACKUP", "enableDatabaseBackup", "true", "false", false],
  ["BACKUP_ENABLE_FUNCTION_BACKUP", "enableFunctionBackup", "true", "0", false],
  ["BACKUP_ENABLE_CONFIG_BACKUP", "enableConfigBackup", "true", "FALSE", false],
  ["BACKUP_ENABLE_SECRETS_BACKUP", "enableSecretsBackup", "true", "false", false],
  ["BACKUP_DATABASE_INTERVAL", "databaseBackupInterval", "24", "0.5", 0.5],
  ["BACKUP_FUNCTION_INTERVAL", "functionBackupInterval", "168", "24", 24],
  ["BACKUP_CONFIG_INTERVAL", "configBackupInterval", "24", "1", 1],
  ["BACKUP_SECRETS_INTERVAL", "secretsBackupInterval", "168", "1", 1],
  ["BACKUP_DATABASE_RETENTION", "databaseBackupRetention", "30", "7", 7],
  ["BACKUP_FUNCTION_RETENTION", "functionBackupRetention", "90", "7", 7],
  ["BACKUP_CONFIG_RETENTION", "configBackupRetention", "365", "7", 7],
  ["BACKUP_SECRETS_RETENTION", "secretsBackupRetention", "365", "7", 7],
  ["BACKUP_STORAGE_TYPE", "backupStorageType", "local", "s3", "s3"],
  ["BACKUP_ENABLE_ENCRYPTION", "enableEncryption", "true", "false", false],
  ["BACKUP_ENABLE_COMPRESSION", "enableCompression", "true", "false", false],
  ["BACKUP_ENABLE_VERIFICATION", "enableBackupVerification", "true", "false", false],
  ["BACKUP_VERIFICATION_INTERVAL", "verificationInterval", "24", "12", 12],
  ["BACKUP_ENABLE_NOTIFICATIONS", "enableBackupNotifications", "true", "false", false],
  ["BACKUP_FAILURE_THRESHOLD", "failureNotificationThreshold", "3", "1", 1],
];

Deno.test("readEnvironment() knows each variable of the guide, and the guide's values are the defaults", () => {
  for (const [variable, key, said, other, value] of GUIDE) {
    assert.equal(String(DEFAULT_SETTINGS[key]), said, variable);
    assert.deepEqual(settingsOf({ [variable]: said }), settingsOf({}), variable);
    assert.deepEqual(settingsOf({ [variable]: other })[key], value, variable);
  }
});

Deno.test("readEnvironment() takes the guide's environment as it stands, channels without addresses too", () => {
  const settings = settingsOf({
    ...Object.fromEntries(GUIDE.map(([variable, , said]) => [variable, said])),
    BACKUP_STORAGE_BUCKET: "backups",
    BACKUP_STORAGE_REGION: "us-east-1",
    BACKUP_STORAGE_ACCESS_KEY: "your-access-key",
    BACKUP_STORAGE_SECRET_KEY: "your-secret-key",
    BACKUP_ENCRYPTION_KEY: "your-encryption-key",
    BACKUP_COMPRESSION_LEVEL: "6",
    BACKUP_NOTIFICATION_CHANNELS: "email,slack",
  });
  assert.deepEqual(settings.notificationChannels, ["email", "slack"]);
  assert.deepEqual([settings.compressionAlgorithm, settings.compressionLevel], ["zstd", 6]);
  assert.equal(settings.encryptionKey, "env:BACKUP_ENCRYPTION_KEY");
  assert.deepEqual(settings.backupStorageConfig, {
    bucket: "backups",
    region: "us-east-1",
    accessKey: "env:BACKUP_STORAGE_ACCESS_KEY",
    secretKey: "env:BACKUP_STORAGE_SECRET_KEY",
  });
});

Deno.test("a wrong variable is refused with its name, its value and what is allowed", () => {
  for (const [variable, , form] of [...SETTING_VARIABLES, ...STORAGE_VARIABLES]) {
    if (form === "secret" || form === "list" || variable === "BACKUP_STORAGE_PATH") continue;
    const wrong = form === "text" ? "no such/thing?" : "often";
    assert.throws(() => settingsOf({ [variable]: wrong }), (error: unknown) => {
      assert.ok(error instanceof BackupError && error.code === "invalid_config", variable);
      assert.ok(error.message.includes(`(${variable})`), `${variable}: ${error.message}`);
      const isShown = error.message.includes(`"${wrong}"`) || form === "json" ||
        /_URL$/.test(variable);
      assert.ok(isShown, `${variable}: ${error.message}`);
      return true;
    });
  }
});

Deno.test("at most 60 requests a minute go to the Management API, unless the environment says otherwise", () => {
  const read = (value?: string) =>
    readEnvironment((name) => name === "BACKUP_MANAGEMENT_REQUESTS_PER_MINUTE" ? value : undefined)
      .management.requestsPerMinute;
  assert.deepEqual([read(), read("1"), read("10000")], [60, 1, 10_000]);
  for (const wrong of ["0", "10001", "-1", "1.5", "many", ""]) {
    const message = new RegExp(`REQUESTS_PER_MINUTE: ${JSON.stringify(wrong)} is not`);
    assert.throws(() => read(wrong), { code: "invalid_config", message });
  }
});

Deno.test("a wrong variable that may hold a secret is refused without its value", () => {
  const secret = "https://hooks.slack.com/services/T0/secret";
  for (
    const variables of [{ BACKUP_NOTIFICATION_CHANNELS: secret }, {
      BACKUP_EMAIL_API_URL: "ftp://secret",
    }]
  ) {
    assert.throws(
      () => settingsOf(variables as Record<string, string>),
      (error: Error) => !error.message.includes("secret") && error.message.includes("BACKUP_"),
    );
  }
});

Deno.test("secrets of the environment are references in the settings, never values", () => {
  const secrets = SETTING_VARIABLES.filter(([, , form]) => form === "secret");
  const values = Object.fromEntries(secrets.map(([variable]) => [variable, "s3cret-value"]));
  assert.doesNotMatch(JSON.stringify(settingsOf(values)), /s3cret/);
});

Deno.test("initializeBackup() and updateBackupConfig() work as in the guide", () => {
  try {
    const config = initializeBackup({
      enableDatabaseBackup: true,
      databaseBackupInterval: 24,
      enableEncryption: true,
      enableCompression: true,
    });
    assert.equal(config.databaseBackupInterval, 24);
    updateBackupConfig({ databaseBackupInterval: 12, enableCompression: false });
    const { settings } = readEnvironment(() => undefined);
    assert.deepEqual(
      [settings.databaseBackupInterval, settings.enableCompression, settings.enableEncryption],
      [12, false, true],
    );
    assert.throws(
      () => updateBackupConfig({ databaseBackupInterval: 0 }),
      /databaseBackupInterval: 0 is not a number above 0/,
    );
    assert.equal(readEnvironment(() => undefined).settings.databaseBackupInterval, 12);
  } finally {
    initializeBackup({});
  }
});

Deno.test("docs/settings.md is made from the schema and names every variable that is read", async () => {
  const page = await Deno.readTextFile(new URL("../../../docs/settings.md", import.meta.url));
  assert.equal(page, settingsPage(), "run: deno task settings");
  const read = await Deno.readTextFile(new URL("./config.ts", import.meta.url));
  for (const [variable] of read.matchAll(/BACKUP_[A-Z_]+[A-Z]/g)) {
    assert.ok(page.includes(`\`${variable}\``), `${variable} is not in docs/settings.md`);
  }
  for (const key of Object.keys(DEFAULT_SETTINGS)) {
    assert.ok(key === "backupStorageConfig" || page.includes(`\`${key}\``), key);
  }
});
