import assert from "node:assert/strict";
import { DEFAULT_SETTINGS } from "../../core/settings.ts";
import { openStorage } from "../../storage/open.ts";
import { restoreCommand } from "./restore_command.ts";

Deno.test("restoreCommand() names the repository, the target and every choice, and no secret", () => {
  const settings = {
    ...DEFAULT_SETTINGS,
    backupStorageType: "s3" as const,
    backupStorageConfig: {
      bucket: "b",
      prefix: "p/",
      region: "eu-1",
      endpoint: "https://s3.example.com",
      accessKey: "env:A",
      secretKey: "env:B",
    },
  };
  const line = restoreCommand({
    settings,
    backupId: "backup_1",
    request: {
      ...{ mode: "over", tables: ["public.o'clock"], onlyLost: true, acceptHazards: ["x"] },
      schemaOnly: true,
    },
    targetDatabaseUrl: "env:STAGING_URL",
  });
  assert.equal(
    line,
    "deno task restore --repository " +
      "'s3://b/p/?region=eu-1&endpoint=https%3A%2F%2Fs3.example.com' " +
      `--database-url "$STAGING_URL" --backup backup_1 --mode over --table 'public.o'\\''clock' ` +
      "--only-lost --allow-hazard 'x' --schema-only",
  );
  const plain = restoreCommand({
    settings: { ...settings, enableEncryption: false },
    backupId: "backup_1",
    request: {},
    targetDatabaseUrl: null,
  });
  assert.match(plain, /--database-url "\$SUPABASE_DB_URL" --backup backup_1 --no-encryption$/);
});

Deno.test("restoreCommand() goes into a new database with the key's file where the own one is down", () => {
  const line = restoreCommand({
    settings: DEFAULT_SETTINGS,
    backupId: "backup_1",
    request: {},
    targetDatabaseUrl: null,
    isDown: true,
  });
  assert.match(line, /^BACKUP_ENCRYPTION_KEY="\$\(cat backup\.key\)" deno task restore /);
  assert.match(line, / --database-url "\$NEW_DATABASE_URL" /);
  assert.doesNotMatch(line, /SUPABASE_DB_URL/);
});

Deno.test("restoreCommand() gives an address that opens the storage of the settings, of every kind", () => {
  const places = {
    local: { path: "backups/here" },
    s3: { bucket: "b", prefix: "p" },
    gcs: { bucket: "b", prefix: "p" },
    azure: { bucket: "b", prefix: "p", account: "acc" },
    supabase: { bucket: "b", prefix: "p", endpoint: "https://abcd.supabase.co" },
  };
  const variables: Record<string, string> = {
    AWS_ACCESS_KEY_ID: "id",
    AWS_SECRET_ACCESS_KEY: "secret",
    GOOGLE_CREDENTIALS: JSON.stringify({
      type: "service_account",
      client_email: "a@b.iam.gserviceaccount.com",
      private_key: "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
      token_uri: "https://oauth2.googleapis.com/token",
    }),
    AZURE_STORAGE_KEY: btoa("k".repeat(64)),
    SUPABASE_STORAGE_KEY: "sb_secret_x",
  };
  const locations = Object.entries(places).map(([type, backupStorageConfig]) => {
    const backupStorageType = type as keyof typeof places;
    const line = restoreCommand({
      settings: { ...DEFAULT_SETTINGS, backupStorageType, backupStorageConfig },
      ...{ backupId: "backup_1", request: {}, targetDatabaseUrl: null },
    });
    const address = /--repository '([^']+)'/.exec(line)![1]!;
    return openStorage(address, (name) => variables[name]).location;
  });
  assert.match(locations[0]!, /^file:\/\/\/.*\/backups\/here$/);
  assert.deepEqual(locations.slice(1), [
    "s3://b/p/",
    "gs://b/p/",
    "azure://b/p/?account=acc",
    "supabase://b/p/?endpoint=https://abcd.supabase.co",
  ]);
});
