/**
 * Copies of backups in a further destination, by HTTP and with real servers: what is copied is looked at by
 * another client, and restored when the first storage is gone.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { fileURLToPath } from "../../scripts/paths.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { call, post, startServiceUnderTest } from "../support/service.ts";
import { startS3Server } from "../support/s3_server.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

// The client of S3 keeps connections, which the test runner would take for leaks.
const options = { sanitizeOps: false, sanitizeResources: false };

const CREDENTIALS = {
  accessKey: "env:BACKUP_STORAGE_OFFSITE_ID",
  secretKey: "env:BACKUP_STORAGE_OFFSITE_SECRET",
};

/** A service whose backups go to a directory, with two further destinations: a bucket and a directory. */
async function start() {
  const s3 = await startS3Server();
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-copies-" });
  const offsite = { name: "offsite", type: "s3", bucket: "backups", prefix: "copies" };
  const variables = {
    BACKUP_DESTINATIONS: JSON.stringify([
      { ...offsite, ...CREDENTIALS, endpoint: s3.endpoint },
      { name: "disk", type: "local", path: `${folder}/copy` },
    ]),
    BACKUP_STORAGE_OFFSITE_ID: s3.credentials.AWS_ACCESS_KEY_ID,
    BACKUP_STORAGE_OFFSITE_SECRET: s3.credentials.AWS_SECRET_ACCESS_KEY,
  };
  const started = await startServiceUnderTest(variables);
  return {
    ...{ s3, folder, ...started },
    async [Symbol.asyncDispose]() {
      await started.stop();
      await s3.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** What another client sees in the bucket: sizes by name. */
async function listBucket(endpoint: string, prefix: string): Promise<Map<string, number>> {
  const client = new S3Client({
    ...{ endpoint, region: "us-east-1", forcePathStyle: true },
    credentials: { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" },
  });
  const { Contents = [] } = await client.send(
    new ListObjectsV2Command({ Bucket: "backups", Prefix: prefix }),
  );
  client.destroy();
  return new Map(Contents.map(({ Key, Size }) => [Key!.slice(prefix.length), Size!]));
}

async function listFolder(folder: string, below = ""): Promise<Map<string, number>> {
  const files = new Map<string, number>();
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${below}`)) {
    const path = `${below}${name}`;
    if (isDirectory) {
      for (const [file, size] of await listFolder(folder, `${path}/`)) files.set(file, size);
    } else files.set(path, (await Deno.stat(`${folder}/${path}`)).size);
  }
  return files;
}

/** Pages in clear name the place that they lie in, so each place has its own. */
function withoutPages(files: Map<string, number>): [string, number][] {
  return [...files].filter(([name]) => !name.startsWith("recovery/")).toSorted();
}

Deno.test(
  "backups are copied to another storage, wrong requests are refused, and the copy restores when the first one is gone",
  options,
  async () => {
    await using running = await start();
    const { service, s3, variables, admin } = running;
    await refuseWrongRequests(running);
    {
      await using session = await admin();
      await session.execute(
        "CREATE TABLE public.ledger AS SELECT n AS id, md5(n::text) AS entry FROM generate_series(1, 500) n",
      );
    }
    const { body: made } = await post(service, "backup-database&wait=60", {
      reason: "to be copied",
    });
    assert.equal(made.data.status, "completed", JSON.stringify(made));

    const dry = await post(service, "replicate&wait=60", { destination: "offsite", dryRun: true });
    assert.deepEqual(
      dry.body.data.result.backups.added,
      [made.data.jobId],
      JSON.stringify(dry.body),
    );
    assert.equal((await listBucket(s3.endpoint, "copies/")).size, 0);

    const copied = await post(service, "replicate&wait=60", { destination: "offsite" });
    assert.equal(copied.status, 200, JSON.stringify(copied.body));
    const { result } = copied.body.data;
    assert.deepEqual(result.backups.added, [made.data.jobId]);
    assert.deepEqual(result.problems, []);
    const original = await listFolder(variables.BACKUP_STORAGE_PATH!);
    const inBucket = await listBucket(s3.endpoint, "copies/");
    assert.deepEqual(withoutPages(inBucket), withoutPages(original));
    assert.ok([...inBucket.keys()].some((name) => name.startsWith("recovery/restore-")));

    {
      await using session = await admin();
      const [row] = await session.query(
        `SELECT locations::text AS at FROM backup_jobs WHERE job_id = '${made.data.jobId}'`,
      );
      const copies = JSON.parse(String(row!.at)) as { copy: string; location: string }[];
      assert.deepEqual(copies.map(({ copy }) => copy), ["primary", "offsite"]);
      assert.match(copies[1]!.location, /^s3:\/\/backups\/copies/);
    }
    const verified = await post(service, "verify&wait=60", {
      destination: "offsite",
      level: "full",
    });
    assert.equal(verified.status, 200, JSON.stringify(verified.body));

    // The first storage burns down; what remains is the bucket, the key and a new database.
    await Deno.remove(variables.BACKUP_STORAGE_PATH!, { recursive: true });
    await using target = await temporaryDatabase("copies");
    const restore = fileURLToPath(new URL("../../scripts/restore.ts", import.meta.url));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-lock", "--no-check", restore, "--target", "plain"],
        ...["--repository", `s3://backups/copies?endpoint=${encodeURIComponent(s3.endpoint)}`],
        ...["--backup", "latest", "--database-url", target.url],
      ],
      env: { BACKUP_ENCRYPTION_KEY: variables.BACKUP_ENCRYPTION_KEY!, ...s3.credentials },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const session = await connect({ url: target.url });
    const [row] = await session.query(
      "SELECT count(*)::int AS rows, md5(string_agg(entry, '' ORDER BY id)) AS digest FROM public.ledger",
    );
    const [wanted] = await session.query(
      "SELECT 500 AS rows, md5(string_agg(md5(n::text), '' ORDER BY n)) AS digest FROM generate_series(1, 500) n",
    );
    await session.close();
    assert.deepEqual(row, wanted);
  },
);

/** Each is answered with what is wrong and what to do. Ends with tables and repository made. */
async function refuseWrongRequests(running: Awaited<ReturnType<typeof start>>): Promise<void> {
  const { service, variant } = running;
  const none = await post(service, "replicate&wait=60", { destination: "offsite" });
  assert.deepEqual([none.status, none.body.error.code], [404, "repository_missing"]);
  await post(service, "init");

  const which = await post(service, "replicate", {});
  assert.deepEqual([which.status, which.body.error.code], [400, "invalid_request"]);
  assert.match(which.body.error.hint, /"destination": "offsite" or "destination": "disk"/);
  const unknown = await post(service, "replicate", { destination: "moon" });
  assert.deepEqual([unknown.status, unknown.body.error.code], [400, "invalid_request"]);
  assert.match(unknown.body.error.message, /offsite, disk/);
  const wrong = await post(service, "replicate", { destination: "disk", level: "slow", more: 1 });
  assert.equal(wrong.status, 400);
  assert.equal((await call(service, "replicate")).status, 405);
  assert.equal((await post(service, "verify", { destination: "moon" })).status, 400);

  await using without = variant({ BACKUP_DESTINATIONS: "[]" });
  const nowhere = await post(without, "replicate", {});
  assert.deepEqual([nowhere.status, nowhere.body.error.code], [400, "invalid_config"]);
  assert.match(nowhere.body.error.hint, /BACKUP_DESTINATIONS/);

  await using single = variant({
    BACKUP_DESTINATIONS: JSON.stringify([{
      name: "disk",
      type: "local",
      path: `${running.folder}/one`,
    }]),
  });
  const done = await post(single, "replicate&wait=60", {});
  assert.equal(done.body.data.result.destination, "disk", JSON.stringify(done.body));
}
