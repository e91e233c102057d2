import assert from "node:assert/strict";
import { BackupError } from "../core/errors.ts";
import { destinationStorage, withHintsOf } from "./destination_storage.ts";
import { memoryStorage } from "./memory.ts";
import type { Storage } from "./storage.ts";

function at(location: string): Storage {
  return { ...memoryStorage(), location };
}

function locationOf(location: string, place: { endpoint?: string; region?: string } = {}): string {
  return destinationStorage(at(location), { destination: "offsite", ...place }).location;
}

Deno.test("destinationStorage() tells a bucket of the same name on another server apart", () => {
  const endpoint = "https://minio.example:9000/";
  assert.equal(
    locationOf("s3://backups/shop/", { endpoint }),
    "s3://backups/shop/?endpoint=https://minio.example:9000",
  );
  assert.equal(locationOf("s3://backups/"), "s3://backups/?region=us-east-1");
  assert.equal(
    locationOf("s3://backups/", { region: "eu-west-3" }),
    "s3://backups/?region=eu-west-3",
  );
  assert.equal(locationOf("gs://backups/"), "gs://backups/");
  const azure = "azure://backups/?account=mine";
  assert.equal(locationOf(azure, { endpoint }), azure);
});

Deno.test("destinationStorage() names the destination's fields where its storage names variables", async () => {
  const error = new BackupError("storage_refused", "Cannot list: the bucket is elsewhere", {
    hint: "The bucket is in eu-west-3: set BACKUP_STORAGE_REGION to it.",
    details: { region: "eu-west-3" },
    cause: "the server's answer",
  });
  const inner = {
    ...at("s3://backups/"),
    put: () => Promise.reject(error),
    head: () => Promise.reject(error),
    // deno-lint-ignore require-yield -- it fails before the first object
    list: async function* () {
      throw await Promise.resolve(error);
    },
  } as unknown as Storage;
  const storage = destinationStorage(inner, { destination: "offsite" });
  const isNamed = (thrown: unknown) => {
    const { code, message, details, cause, hint } = thrown as BackupError;
    assert.deepEqual([code, message, details, cause], [
      ...[error.code, error.message, error.details],
      "the server's answer",
    ]);
    assert.equal(
      hint,
      "The bucket is in eu-west-3: set region of offsite in BACKUP_DESTINATIONS to it.",
    );
    return true;
  };
  await assert.rejects(storage.put("a", new Uint8Array()), isNamed);
  await assert.rejects(storage.head("a"), isNamed);
  await assert.rejects(Array.fromAsync(storage.list("")), isNamed);
});

Deno.test("withHintsOf() leaves alone what names no variable of storage", () => {
  const other = new BackupError("storage_full", "Cannot store: no room", { hint: "Make room." });
  assert.equal(withHintsOf("offsite", other), other);
  const plain = new TypeError("x");
  assert.equal(withHintsOf("offsite", plain), plain);
  const both = new BackupError("invalid_config", "Cannot use the Azure storage", {
    hint: "Set BACKUP_STORAGE_ACCOUNT, and BACKUP_STORAGE_SECRET_KEY to the account's key.",
  });
  const of = "of offsite in BACKUP_DESTINATIONS";
  const { hint } = withHintsOf("offsite", both) as BackupError;
  assert.equal(hint, `Set account ${of}, and secretKey ${of} to the account's key.`);
});
