import assert from "node:assert/strict";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { startService } from "../../scripts/start_service.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { s3Client } from "../../supabase/functions/backup/storage/s3_client.ts";
import { startS3Server } from "../support/s3_server.ts";
import { call, post, startServiceUnderTest } from "../support/service.ts";

// The client of S3 keeps connections, which the test runner would take for leaks.
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test("backup-files saves the bucket of S3 that the environment names", options, async () => {
  const bucket = await startS3Server();
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = bucket.credentials;
  const client = s3Client({
    ...{ region: "us-east-1", endpoint: bucket.endpoint, pathStyle: true },
    credentials: { accessKeyId: id, secretAccessKey: new Secret(secret), sessionToken: null },
  });
  const put = (Key: string, Body: string | Uint8Array) =>
    client.send(new PutObjectCommand({ Bucket: "backups", Key, Body }));
  const test = await startServiceUnderTest({
    BACKUP_FILES_SOURCE_BUCKET: "backups",
    BACKUP_FILES_SOURCE_ENDPOINT: bucket.endpoint,
    BACKUP_FILES_SOURCE_ACCESS_KEY: id,
    BACKUP_FILES_SOURCE_SECRET_KEY: secret,
  });
  try {
    await put("photo", "one");
    const { body } = await post(test.service, "backup-files&wait=60");
    assert.equal(body.data?.status, "completed", JSON.stringify(body));
    assert.equal(body.data.result.totals.items, 1);
    assert.equal(body.data.result.totals.rawBytes, 3);

    const again = await post(test.service, "backup-files&wait=60");
    const { unchanged, newChunks } = again.body.data.result.totals;
    assert.deepEqual({ unchanged, newChunks }, { unchanged: 1, newChunks: 0 });

    // So much that a host has its threads read it, in ranges.
    await put("photo", new Uint8Array(34 << 20).fill(7));
    const host = startService(test.variables, { threads: 2 });
    const started = countWorkers();
    const large = await post(host, "backup-files&wait=60").finally(() => host.stop());
    assert.equal(started.end(), 2);
    assert.equal(large.body.data?.status, "completed", JSON.stringify(large.body));
    assert.equal(large.body.data.result.totals.rawBytes, 34 << 20);

    const filesOf = async (service: typeof test.service) => {
      const { body } = await call(service, "test");
      return body.data.checks.find((check: { name: string }) => check.name === "files");
    };
    const { ok, found } = await filesOf(test.service);
    assert.deepEqual({ ok, found }, { ok: true, found: "1 objects listed, one read" });

    await using wrong = test.variant({ BACKUP_FILES_SOURCE_ACCESS_KEY: "another one" });
    const refused = await post(wrong, "backup-files&wait=60");
    assert.equal(refused.body.data.error.code, "files_unauthorized", JSON.stringify(refused.body));
    const { error: why } = await filesOf(wrong);
    assert.equal(why.code, "files_unauthorized");
    assert.match(why.hint, /BACKUP_FILES_SOURCE_ACCESS_KEY/);
    await using elsewhere = test.variant({ BACKUP_FILES_SOURCE_BUCKET: "other" });
    assert.match((await filesOf(elsewhere)).error.hint, /BACKUP_FILES_SOURCE_BUCKET/);
    await using unset = test.variant({ BACKUP_FILES_SOURCE_ACCESS_KEY: "" });
    const { body: { error } } = await post(unset, "backup-files");
    assert.equal(error.code, "invalid_config");
    assert.match(error.message, /BACKUP_FILES_SOURCE_ACCESS_KEY/);
    assert.match((await filesOf(unset)).error.message, /BACKUP_FILES_SOURCE_ACCESS_KEY/);
  } finally {
    await test.stop();
    await bucket.close();
  }
});

/** Counts the threads that are started from now on. */
function countWorkers(): { end(): number } {
  const { Worker: own } = globalThis;
  let count = 0;
  globalThis.Worker = class extends own {
    constructor(...how: ConstructorParameters<typeof own>) {
      super(...how);
      count++;
    }
  };
  return {
    end() {
      globalThis.Worker = own;
      return count;
    },
  };
}
