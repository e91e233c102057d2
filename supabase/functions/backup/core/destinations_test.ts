import assert from "node:assert/strict";
import { readEnvironment } from "../config.ts";
import { settingsAt } from "./destinations.ts";
import type { BackupError } from "./errors.ts";
import { mergeSettings, type Settings } from "./settings.ts";
import { settingsInForce } from "./settings_in_force.ts";

/** The settings that the environment makes, `destinations` as its variable's text. */
function settingsOf(destinations: unknown, more: Record<string, string> = {}): Settings {
  const text = typeof destinations === "string" ? destinations : JSON.stringify(destinations);
  const variables: Record<string, string> = { BACKUP_DESTINATIONS: text, ...more };
  const { settings } = readEnvironment((name) => variables[name]);
  return mergeSettings([{ name: "the environment", patch: settings }]);
}

const OFFSITE = { name: "offsite", type: "s3", bucket: "copies", region: "eu-west-3" };
const KEYS = { accessKey: "env:BACKUP_STORAGE_COPY_ID", secretKey: "vault://backup_copy" };
const S3 = { BACKUP_STORAGE_TYPE: "s3", BACKUP_STORAGE_BUCKET: "backups" };

Deno.test("BACKUP_DESTINATIONS names places in JSON, and none is there unless somebody says so", () => {
  assert.deepEqual(mergeSettings([]).destinations, []);
  const shelf = { name: "shelf-2", type: "local", path: "/mnt/shelf" };
  const locked = {
    ...{ ...OFFSITE, ...KEYS },
    objectLock: { mode: "compliance", days: 30 },
    storageClass: "STANDARD_IA",
  };
  assert.deepEqual(settingsOf([locked, shelf], S3).destinations, [locked, shelf]);
});

Deno.test("settingsAt() puts a destination in the place of the storage, and names those that there are", () => {
  const settings = settingsOf([{ ...OFFSITE, ...KEYS }], S3);
  assert.equal(settingsAt(settings), settings);
  const there = settingsAt(settings, "offsite");
  assert.equal(there.backupStorageType, "s3");
  assert.deepEqual(there.backupStorageConfig, { bucket: "copies", region: "eu-west-3", ...KEYS });
  assert.equal(there.encryptionKey, settings.encryptionKey);
  assert.throws(() => settingsAt(settings, "elsewhere"), {
    code: "invalid_request",
    message: 'Cannot use the destination "elsewhere": there are offsite',
  });
  assert.throws(() => settingsAt(mergeSettings([]), "primary"), {
    code: "invalid_request",
    message: 'Cannot use the destination "primary": none is set',
  });
});

/** Destinations, and what the message has to say. */
const WRONG: [unknown, ...string[]][] = [
  ['[{"name":"offsite"', "destinations: ", "a list of at most 8 objects"],
  [{ offsite: OFFSITE }, "destinations: ", "a list of at most 8 objects"],
  [["AKIAsecret"], "destinations.0: must be an object"],
  [
    Array.from({ length: 9 }, (_, i) => ({ ...OFFSITE, name: `o${i}`, bucket: `b${i}` })),
    "8 objects",
  ],
  [[{ ...OFFSITE, name: "Off site" }], 'destinations.0.name: "Off site" is not a name'],
  [[{ ...OFFSITE, name: "primary" }], "destinations.0.name: ", "the storage itself"],
  [[{ bucket: "copies", type: "s3" }], "destinations.0.name: "],
  [
    [{ name: "offsite", bucket: "copies" }],
    "destinations.0.type: ",
    "local, s3, gcs, azure, supabase",
  ],
  [[{ ...OFFSITE, type: "floppy" }], 'destinations.0.type: "floppy" is none of', "azure"],
  [[{ ...OFFSITE, bucket: "a b" }], 'destinations.0.bucket: "a b" is not a bucket\'s name'],
  [[{ ...OFFSITE, endpoint: "host" }], "destinations.0.endpoint: ", "https://host"],
  [[{ ...OFFSITE, prefix: "../x" }], "destinations.0.prefix: ", "is not a path"],
  [[{ ...OFFSITE, storageClass: "GLACIER" }], "destinations.0.storageClass: ", "be read at once"],
  [[{ ...OFFSITE, objectLock: { days: 3 } }], "destinations.0.objectLock.mode: ", "governance"],
  [
    [{ name: "shelf", type: "local", path: "/x", legalHold: true }],
    "destinations.0.legalHold: local",
  ],
  [[{ ...OFFSITE, url: "s3://copies" }], "destinations.0.url: is not known"],
  [[OFFSITE, { ...OFFSITE, bucket: "more" }], 'destinations.1.name: "offsite" is there twice'],
  [
    [OFFSITE, { ...OFFSITE, name: "two", prefix: "/" }],
    "destinations.1: ",
    "same place as offsite",
  ],
];

for (const [index, [destinations, ...words]] of WRONG.entries()) {
  Deno.test(`a wrong destination is named by its place in the list (${index}): ${words[0]}`, () => {
    assert.throws(() => settingsOf(destinations), (error: BackupError) => {
      assert.equal(error.code, "invalid_config");
      for (const word of words) assert.ok(error.message.includes(word), error.message);
      assert.doesNotMatch(error.message, /BACKUP_STORAGE_|AKIA/);
      return true;
    });
  });
}

Deno.test("a credential of a destination is a reference to one of storage, and its value is never said", () => {
  for (const secretKey of ["wJalrXUtnFEMI/secret", "env:SUPABASE_DB_URL", "vault://other"]) {
    assert.throws(() => settingsOf([{ ...OFFSITE, secretKey }]), (error: BackupError) => {
      assert.match(error.message, /destinations\.0\.secretKey: must be /);
      return !error.message.includes(secretKey);
    });
  }
});

Deno.test("a destination at the place of the storage itself is no copy, and is refused", () => {
  const same = [
    [OFFSITE, { ...S3, BACKUP_STORAGE_BUCKET: "copies" }],
    [{ ...OFFSITE, prefix: "/a//b/" }, {
      ...{ ...S3, BACKUP_STORAGE_BUCKET: "copies" },
      BACKUP_STORAGE_PREFIX: "a/b",
    }],
    [{ name: "offsite", type: "local", path: "/mnt/x/" }, { BACKUP_STORAGE_PATH: "/mnt/x" }],
    [{ name: "offsite", type: "local" }, {}],
  ] as const;
  for (const [destination, variables] of same) {
    assert.throws(() => settingsOf([destination], variables), {
      code: "invalid_config",
      message: /destinations\.0: offsite is at the place of the storage itself/,
    });
  }
  const others = [
    { ...OFFSITE, bucket: "backups", prefix: "copy" },
    { ...OFFSITE, bucket: "backups", endpoint: "https://minio.example:9000" },
    { ...OFFSITE, type: "gcs", bucket: "backups", region: undefined },
  ];
  for (const other of others) assert.equal(settingsOf([other], S3).destinations.length, 1);
});

Deno.test("a wrong row of destinations is left out and said, and the environment's is not replaced by a row", () => {
  const wrong = settingsInForce({ backupStorageType: "local" }, {
    destinations: [{ name: "offsite", type: "floppy" }],
  });
  assert.deepEqual(wrong.settings.destinations, []);
  assert.deepEqual(wrong.problems.map(({ path }) => path), ["destinations.0.type"]);
  const atStorage = settingsInForce({ backupStorageType: "local" }, {
    destinations: [{ name: "offsite", type: "local" }],
    maxWorkers: 7,
  });
  assert.deepEqual([atStorage.settings.destinations, atStorage.settings.maxWorkers], [[], 7]);
  assert.deepEqual(atStorage.problems.map(({ path }) => path), ["destinations.0"]);
  const { destinations } = settingsOf([OFFSITE]);
  const bound = settingsInForce({ destinations }, {
    destinations: [{ ...OFFSITE, bucket: "stolen" }],
  });
  assert.deepEqual([bound.settings.destinations, bound.problems], [destinations, []]);
});

Deno.test("the lines of docs/destinations.md that set destinations are taken as they stand, one of each kind", async () => {
  const page = await Deno.readTextFile(
    new URL("../../../../docs/destinations.md", import.meta.url),
  );
  const lists = [...page.matchAll(/BACKUP_DESTINATIONS='?(\[.*\])'/g)].map(([, list]) => list!);
  const all = lists.flatMap((list) => {
    const { destinations } = settingsOf(list.replace("<ref>", "abcdefghijklmnopqrst"));
    for (const name of list.match(/env:\w+/g) ?? []) {
      assert.ok(page.includes(` ${name.slice(4)}=`), `${name} is not set in its line`);
    }
    return destinations;
  });
  assert.deepEqual(all.map(({ type }) => type), ["s3", "gcs", "azure", "supabase", "local"]);
});
