import assert from "node:assert/strict";
import { BackupError } from "./errors.ts";
import { settingsInForce } from "./settings_in_force.ts";

Deno.test("settingsInForce() lets rows go before the environment, and that before defaults", () => {
  const { settings, problems } = settingsInForce(
    { databaseBackupInterval: 12, configBackupInterval: 6 },
    { databaseBackupInterval: 1 },
  );
  assert.deepEqual(
    [settings.databaseBackupInterval, settings.configBackupInterval, settings.filesBackupInterval],
    [1, 6, 24],
  );
  assert.deepEqual(problems, []);
});

Deno.test("settingsInForce() does not follow rows that fix what the environment has fixed", () => {
  const { settings, problems } = settingsInForce(
    { backupStorageType: "local", databaseBackupRetention: 90, encryptionKey: "env:A" },
    { backupStorageType: "s3", databaseBackupRetention: 1, encryptionKey: "env:B" },
  );
  assert.deepEqual(
    [settings.backupStorageType, settings.databaseBackupRetention, settings.encryptionKey],
    ["local", 90, "env:A"],
  );
  assert.deepEqual(problems, []);
});

Deno.test("settingsInForce() leaves out wrong and unknown rows, keeps the others and says which", () => {
  const { settings, problems } = settingsInForce({ filesBackupInterval: 48 }, {
    databaseBackupInterval: "soon",
    filesBackupInterval: -1,
    ofALaterRelease: true,
    maxWorkers: 8,
  });
  assert.deepEqual(
    [settings.databaseBackupInterval, settings.filesBackupInterval, settings.maxWorkers],
    [24, 48, 8],
  );
  assert.deepEqual(problems.map(({ path }) => path).sort(), [
    "databaseBackupInterval",
    "filesBackupInterval",
    "ofALaterRelease",
  ]);
});

Deno.test("settingsInForce() leaves out a row that is wrong only beside another setting", () => {
  const { settings, problems } = settingsInForce({ compressionAlgorithm: "gzip" }, {
    compressionLevel: 19,
  });
  assert.equal(settings.compressionLevel, 6);
  assert.deepEqual(problems, [{ path: "compressionLevel", message: "gzip has levels 1 to 9" }]);
});

Deno.test("settingsInForce() keeps the door shut when the row that would open or shut it is wrong", () => {
  const { settings } = settingsInForce({}, { allowLegacyServiceRoleKey: "false" });
  assert.equal(settings.allowLegacyServiceRoleKey, false);
});

Deno.test("settingsInForce() guesses no place of backups, and takes no wrong environment", () => {
  const isRefused = (error: unknown) =>
    error instanceof BackupError && error.code === "invalid_config";
  assert.throws(() => settingsInForce({}, { backupStorageType: "floppy" }), isRefused);
  assert.throws(() => settingsInForce({}, { backupStorageConfig: { bucket: "a/b" } }), isRefused);
  assert.throws(() => settingsInForce({}, { backupStorageConfig: { legalHold: true } }), isRefused);
  assert.throws(() => settingsInForce({ maxWorkers: 0 }, { maxWorkers: 2 }), isRefused);
});

Deno.test("settingsInForce() never says a secret that stands in a row", () => {
  const { problems } = settingsInForce({}, {
    encryptionKey: "c2VjcmV0LWtleS1vZi10aGUtdXNlcg",
    slackWebhookUrl: "https://hooks.slack.com/services/secret",
    notificationChannels: ["https://hooks.slack.com/services/secret"],
  });
  assert.equal(problems.length, 3);
  assert.doesNotMatch(JSON.stringify(problems), /c2VjcmV0|services/);
});
