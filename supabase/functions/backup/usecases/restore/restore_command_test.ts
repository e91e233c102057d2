import assert from "node:assert/strict";
import { DEFAULT_SETTINGS } from "../../core/settings.ts";
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
    request: { mode: "over", tables: ["public.o'clock"], acceptHazards: ["x"], schemaOnly: true },
    targetDatabaseUrl: "env:STAGING_URL",
  });
  assert.equal(
    line,
    "deno task restore --repository " +
      "'s3://b/p?endpoint=https%3A%2F%2Fs3.example.com&region=eu-1' " +
      `--database-url "$STAGING_URL" --backup backup_1 --mode over --table 'public.o'\\''clock' ` +
      "--allow-hazard 'x' --schema-only",
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
