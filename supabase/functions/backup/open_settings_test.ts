import assert from "node:assert/strict";
import { readEnvironment } from "./config.ts";
import { toBase64, utf8 } from "./core/bytes.ts";
import { BackupError } from "./core/errors.ts";
import { createDeps } from "./create_deps.ts";
import { checkChain } from "./usecases/verify/check_chain.ts";

const KEY = toBase64(new Uint8Array(32).map((_, index) => index * 5 + 3));

/** A service without a database, whose storage and destination `shelf` are folders of their own. */
async function withFolders(
  destinations: readonly Record<string, unknown>[],
  work: (opened: {
    deps: ReturnType<typeof createDeps>;
    folder: string;
  }) => Promise<void>,
  more: Record<string, string> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-destinations-" });
  const shelf = { name: "shelf", type: "local", path: `${folder}/shelf` };
  const variables: Record<string, string> = {
    BACKUP_STORAGE_PATH: `${folder}/storage`,
    BACKUP_DESTINATIONS: JSON.stringify([shelf, ...destinations]),
    BACKUP_ENCRYPTION_KEY: KEY,
    ...more,
  };
  try {
    const environment = readEnvironment((name) => variables[name] || undefined);
    await work({ deps: createDeps({ environment }), folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openStorage() and openRepository() open the destination of that name, and else the storage", async () => {
  await withFolders([], async ({ deps, folder }) => {
    const { settings } = await deps.settings();
    const there = await deps.openStorage(settings, { destination: "shelf" });
    const here = await deps.openStorage(settings);
    assert.deepEqual([here.location, there.location], [
      `file://${folder}/storage`,
      `file://${folder}/shelf`,
    ]);
    await there.put("a", utf8("copy"));
    assert.deepEqual([await here.head("a"), (await there.head("a"))?.sizeBytes], [null, 4]);
    const copy = await deps.openRepository(settings, { create: true, destination: "shelf" });
    assert.equal(copy.location, there.location);
    await assert.rejects(deps.openRepository(settings), { code: "repository_missing" });
    for (const open of [deps.openStorage, deps.openRepository]) {
      await assert.rejects(open(settings, { destination: "elsewhere" }), {
        code: "invalid_request",
        message: 'Cannot use the destination "elsewhere": there are shelf',
      });
    }
  });
});

/** A destination, and what opening it is refused with. */
const REFUSED: [Record<string, string>, string, RegExp, RegExp][] = [
  [{ type: "s3" }, "no bucket is set", /^/, /bucket of offsite in BACKUP_DESTINATIONS/],
  [
    { type: "s3", bucket: "copies", secretKey: "env:AWS_SECRET_ACCESS_KEY" },
    "its accessKey is not set",
    /the s3 storage of offsite/,
    /accessKey of offsite in BACKUP_DESTINATIONS to a reference/,
  ],
  [
    { type: "s3", bucket: "copies", accessKey: "env:AWS_GONE", secretKey: "env:AWS_GONE" },
    "there is none",
    /env:AWS_GONE/,
    /supabase secrets set AWS_GONE=/,
  ],
  [
    { type: "s3", bucket: "copies", accessKey: "env:AWS_EXAMPLE", secretKey: "env:AWS_EXAMPLE" },
    "its accessKey is a placeholder",
    /the s3 storage of offsite/,
    /accessKey of offsite/,
  ],
  [
    { type: "azure", bucket: "copies", secretKey: "env:AWS_SOMETHING" },
    "the Azure storage",
    /^/,
    /Set account of offsite in BACKUP_DESTINATIONS, and secretKey of offsite/,
  ],
  [
    { type: "gcs", bucket: "copies", secretKey: "env:AWS_SOMETHING" },
    "the service account's key",
    /^/,
    /secretKey of offsite in BACKUP_DESTINATIONS/,
  ],
];

for (const [place, why, message, hint] of REFUSED) {
  Deno.test(`a destination of ${place.type} is refused with the field to set: ${why}`, async () => {
    const destination = { name: "offsite", ...place };
    const secrets = { AWS_EXAMPLE: "your-access-key", AWS_SOMETHING: "something" };
    await withFolders([destination], async ({ deps }) => {
      const { settings } = await deps.settings();
      const opening = deps.openStorage(settings, { destination: "offsite" });
      await assert.rejects(opening, (error: unknown) => {
        assert.ok(error instanceof BackupError && error.code === "invalid_config", String(error));
        assert.ok(error.message.includes(why), error.message);
        assert.match(error.message, message);
        assert.match(error.hint!, hint);
        assert.doesNotMatch(error.hint!, /BACKUP_STORAGE_[A-Z]/);
        return true;
      });
      // The storage itself is none the worse for it.
      await deps.openStorage(settings);
    }, secrets);
  });
}

Deno.test("a hosted function keeps no copy on its own disk", async () => {
  await withFolders([], async ({ deps }) => {
    const { settings } = await deps.settings();
    await assert.rejects(deps.openStorage(settings, { destination: "shelf" }), {
      code: "invalid_config",
      message: /^Cannot keep the copy shelf on local storage here/,
      hint: "Set type of shelf in BACKUP_DESTINATIONS to s3, gcs, azure or supabase.",
    });
  }, { SB_EXECUTION_ID: "x" });
});

Deno.test("checkChain() tries each destination, and one that fails stops no other check", async () => {
  await withFolders(
    [{ name: "offsite", type: "s3", bucket: "copies" }],
    async ({ deps, folder }) => {
      const { checks } = await checkChain(deps);
      const names = checks.map(({ name }) => name);
      assert.deepEqual(names.slice(0, 5), [
        ...["settings", "storage", "destination shelf", "destination offsite", "repository"],
      ]);
      const [, storage, shelf, offsite] = checks;
      assert.equal(storage!.found, `wrote, read, listed and deleted at file://${folder}/storage`);
      assert.equal(shelf!.found, `wrote, read, listed and deleted at file://${folder}/shelf`);
      assert.ok(storage!.ok && shelf!.ok && shelf!.findings!.length > 3);
      assert.deepEqual([offsite!.ok, offsite!.error?.code], [false, "invalid_config"]);
      assert.match(offsite!.error!.hint!, /accessKey of offsite in BACKUP_DESTINATIONS/);
    },
  );
});
