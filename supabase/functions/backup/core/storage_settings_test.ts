import assert from "node:assert/strict";
import { readEnvironment } from "../config.ts";
import type { BackupError } from "./errors.ts";
import { mergeSettings } from "./settings.ts";

function merged(variables: Record<string, string>) {
  const { settings } = readEnvironment((name) => variables[name]);
  return mergeSettings([{ name: "the environment", patch: settings }]);
}

Deno.test("storage is set up by variables, with class, lock and hold", () => {
  const { backupStorageType, backupStorageConfig } = merged({
    BACKUP_STORAGE_TYPE: "azure",
    BACKUP_STORAGE_BUCKET: "backups",
    BACKUP_STORAGE_ACCOUNT: "mine",
    BACKUP_STORAGE_SECRET_KEY: "very-secret",
    BACKUP_STORAGE_CLASS: "Cool",
    BACKUP_STORAGE_LOCK_MODE: "compliance",
    BACKUP_STORAGE_LOCK_DAYS: "30",
    BACKUP_STORAGE_LEGAL_HOLD: "true",
  });
  assert.equal(backupStorageType, "azure");
  assert.deepEqual(backupStorageConfig, {
    bucket: "backups",
    account: "mine",
    secretKey: "env:BACKUP_STORAGE_SECRET_KEY",
    storageClass: "Cool",
    objectLock: { mode: "compliance", days: 30 },
    legalHold: true,
  });
});

const S3 = { BACKUP_STORAGE_TYPE: "s3", BACKUP_STORAGE_BUCKET: "backups" };
const LOCK = { BACKUP_STORAGE_LOCK_MODE: "governance", BACKUP_STORAGE_LOCK_DAYS: "30" };

/** Variables, and what the message has to say. */
const WRONG: [Record<string, string>, ...string[]][] = [
  [
    { BACKUP_STORAGE_TYPE: "azur" },
    "azur",
    "BACKUP_STORAGE_TYPE",
    "local, s3, gcs, azure, supabase",
  ],
  [{ ...S3, BACKUP_STORAGE_BUCKET: "a b" }, "a b", "BACKUP_STORAGE_BUCKET", "a bucket's name"],
  [{ ...S3, BACKUP_STORAGE_REGION: "EU" }, "EU", "BACKUP_STORAGE_REGION", "eu-central-1"],
  [{ ...S3, BACKUP_STORAGE_ENDPOINT: "host" }, "host", "BACKUP_STORAGE_ENDPOINT", "https://host"],
  [{ ...S3, BACKUP_STORAGE_ACCOUNT: "A" }, '"A"', "BACKUP_STORAGE_ACCOUNT", "small letters"],
  [{ ...S3, BACKUP_STORAGE_CLASS: "Cool" }, "Cool", "BACKUP_STORAGE_CLASS", "STANDARD_IA"],
  [
    { ...S3, BACKUP_STORAGE_CLASS: "GLACIER" },
    "GLACIER",
    "could not be read at once",
    "GLACIER_IR",
  ],
  [
    { ...S3, BACKUP_STORAGE_LOCK_MODE: "soft", BACKUP_STORAGE_LOCK_DAYS: "1" },
    "soft",
    "governance",
  ],
  [{ ...S3, ...LOCK, BACKUP_STORAGE_LOCK_DAYS: "x" }, '"x"', "BACKUP_STORAGE_LOCK_DAYS"],
  [{ ...S3, BACKUP_STORAGE_LOCK_DAYS: "7" }, "BACKUP_STORAGE_LOCK_MODE", "governance, compliance"],
  [{ ...S3, BACKUP_STORAGE_LEGAL_HOLD: "maybe" }, "maybe", "BACKUP_STORAGE_LEGAL_HOLD"],
  [{ BACKUP_STORAGE_TYPE: "local", ...LOCK }, "local storage has no locks", "s3, gcs, azure"],
  [
    { BACKUP_STORAGE_TYPE: "supabase", BACKUP_STORAGE_CLASS: "x" },
    "supabase storage has no classes",
  ],
  [{ BACKUP_STORAGE_TYPE: "supabase", BACKUP_STORAGE_LEGAL_HOLD: "true" }, "has no locks"],
];

for (const [variables, ...words] of WRONG) {
  const what = Object.entries(variables).map((pair) => pair.join("=")).join(" ");
  Deno.test(`mergeSettings() names variable, value and what is allowed: ${what}`, () => {
    assert.throws(() => merged(variables), (error: BackupError) => {
      assert.equal(error.code, "invalid_config");
      for (const word of words) assert.ok(error.message.includes(word), error.message);
      return true;
    });
  });
}
