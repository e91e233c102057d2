import assert from "node:assert/strict";
import { mergeSettings, type SettingsPatch } from "../core/settings.ts";
import { settingsOfVariables } from "../core/settings_variables.ts";
import { settingsAddress } from "./settings_address.ts";

/** The address that the environment's variables make. */
function addressOf(variables: Record<string, string>) {
  const patch = settingsOfVariables((name) => variables[name]);
  return settingsAddress(mergeSettings([{ name: "the environment", patch }]));
}

const KEYS = { BACKUP_STORAGE_ACCESS_KEY: "AKIA", BACKUP_STORAGE_SECRET_KEY: "s3cret" };
const S3 = { BACKUP_STORAGE_TYPE: "s3", BACKUP_STORAGE_BUCKET: "backups", ...KEYS };

Deno.test("settingsAddress() follows type, bucket, region, endpoint and prefix, and keeps keys as references", () => {
  const { url, credentials } = addressOf(S3);
  assert.equal(url, "s3://backups/?region=us-east-1", "the guide's region is the usual one");
  assert.deepEqual(credentials.map(({ variable, reference }) => [variable, reference]), [
    ["AWS_ACCESS_KEY_ID", "env:BACKUP_STORAGE_ACCESS_KEY"],
    ["AWS_SECRET_ACCESS_KEY", "env:BACKUP_STORAGE_SECRET_KEY"],
  ]);
  const other = addressOf({
    ...{ ...S3, BACKUP_STORAGE_BUCKET: "other", BACKUP_STORAGE_PREFIX: "shop" },
    ...{ BACKUP_STORAGE_REGION: "eu-west-3", BACKUP_STORAGE_ENDPOINT: "https://s3.example.com" },
  });
  assert.equal(
    other.url,
    "s3://other/shop?region=eu-west-3&endpoint=https%3A%2F%2Fs3.example.com",
  );
  assert.match(addressOf({ ...S3, BACKUP_STORAGE_TYPE: "gcs" }).url, /^gs:\/\/backups\//);
  assert.match(addressOf({ ...S3, BACKUP_STORAGE_TYPE: "azure" }).url, /^azure:\/\/backups\//);
});

Deno.test("settingsAddress() names every variable that a kind of storage lacks", () => {
  for (
    const [type, hint] of [
      ["s3", "Set BACKUP_STORAGE_BUCKET, BACKUP_STORAGE_ACCESS_KEY, BACKUP_STORAGE_SECRET_KEY."],
      ["gcs", "Set BACKUP_STORAGE_BUCKET, BACKUP_STORAGE_SECRET_KEY."],
      ["azure", "Set BACKUP_STORAGE_BUCKET, BACKUP_STORAGE_SECRET_KEY."],
    ] as const
  ) assert.throws(() => addressOf({ BACKUP_STORAGE_TYPE: type }), { hint });
});

Deno.test("settingsAddress() of a destination has that one's place, and names its fields where they lack", () => {
  const addressAt = (destination: Record<string, unknown>) => {
    const patch = { destinations: [{ name: "offsite", ...destination }] } as SettingsPatch;
    const settings = mergeSettings([{ name: "the environment", patch }]);
    return settingsAddress(settings, { destination: "offsite" });
  };
  const copy = { type: "s3", bucket: "copies", prefix: "shop", secretKey: "vault://backup_copy" };
  const { url, credentials } = addressAt(copy);
  assert.equal(url, "s3://copies/shop?region=us-east-1");
  assert.deepEqual(credentials.map(({ reference }) => reference), [
    undefined,
    "vault://backup_copy",
  ]);
  const of = "of offsite in BACKUP_DESTINATIONS";
  assert.throws(() => addressAt({ type: "s3", secretKey: "env:AWS_SECRET_ACCESS_KEY" }), {
    hint: `Set bucket ${of}, accessKey ${of}.`,
  });
  assert.throws(() => addressAt({ type: "supabase", bucket: "copies" }), {
    hint: `Set endpoint ${of} to https://<ref>.supabase.co.`,
  });
});
