import assert from "node:assert/strict";
import { call, post, type ServiceUnderTest, startServiceUnderTest } from "../support/service.ts";
import { startAzureServer } from "../support/azure_server.ts";
import { startGcsServer } from "../support/gcs_server.ts";
import { type S3Server, startS3Server } from "../support/s3_server.ts";

// One project and one S3 server for the file: the last test stops them.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest & { s3: S3Server }> | undefined;
const start = () => starting ??= open();

async function open() {
  const [service, s3] = await Promise.all([startServiceUnderTest(), startS3Server()]);
  await using session = await service.admin();
  await session.execute(`
    create table public.notes (id integer primary key, body text);
    alter table public.notes owner to postgres;
    insert into public.notes select i, 'note ' || i from generate_series(1, 1000) i`);
  return { ...service, s3 };
}

/** Nothing of storage in the environment: rows have to say it. */
const NO_STORAGE = { BACKUP_STORAGE_TYPE: "", BACKUP_STORAGE_PATH: "" };

function inEnvironment(s3: S3Server, prefix: string): Record<string, string> {
  return {
    ...NO_STORAGE,
    BACKUP_STORAGE_TYPE: "s3",
    BACKUP_STORAGE_BUCKET: "backups",
    BACKUP_STORAGE_PREFIX: prefix,
    BACKUP_STORAGE_ENDPOINT: s3.endpoint,
    BACKUP_STORAGE_ACCESS_KEY: s3.credentials.AWS_ACCESS_KEY_ID,
    BACKUP_STORAGE_SECRET_KEY: s3.credentials.AWS_SECRET_ACCESS_KEY,
  };
}

Deno.test("a bucket keeps a backup from init to restore", shared, async () => {
  const { variant, s3, admin } = await start();
  await using service = variant(inEnvironment(s3, "end-to-end"));
  assert.equal((await post(service, "init")).status, 200);
  const chain = await call(service, "test");
  assert.equal(chain.body.data.ok, true, JSON.stringify(chain.body.data.checks));
  const backup = await post(service, "backup-database&wait=60");
  assert.equal(backup.status, 200, JSON.stringify(backup.body));
  assert.equal(backup.body.data.location, "s3://backups/end-to-end/");
  assert.equal((await post(service, "verify&wait=60", { level: "full" })).status, 200);
  await using session = await admin();
  await session.execute("delete from public.notes where id > 10");
  const restored = await post(service, "restore&wait=60", { backupId: "latest", type: "database" });
  assert.equal(restored.status, 200, JSON.stringify(restored.body.error));
  const [notes] = await session.query("select count(*)::int as count from public.notes");
  assert.equal(notes?.count, 1000);
});

Deno.test(
  "test tries a destination with its own credentials, and names the field that is wrong",
  shared,
  async () => {
    const { variant, s3 } = await start();
    const offsite = {
      ...{ name: "offsite", type: "s3", bucket: "backups", prefix: "copy", endpoint: s3.endpoint },
      ...{ accessKey: "env:BACKUP_STORAGE_COPY_ID", secretKey: "env:BACKUP_STORAGE_COPY_KEY" },
    };
    const checked = async (more: Record<string, string>) => {
      await using service = variant({
        ...inEnvironment(s3, "of-copies"),
        BACKUP_DESTINATIONS: JSON.stringify([offsite]),
        BACKUP_STORAGE_COPY_ID: s3.credentials.AWS_ACCESS_KEY_ID,
        BACKUP_STORAGE_COPY_KEY: s3.credentials.AWS_SECRET_ACCESS_KEY,
        ...more,
      });
      const { checks } = (await call(service, "test")).body.data;
      return ["storage", "destination offsite"].map((wanted) =>
        checks.find(({ name }: { name: string }) => name === wanted)
      );
    };
    const [storage, copy] = await checked({});
    assert.deepEqual([storage.ok, copy.ok], [true, true], JSON.stringify(copy));
    assert.ok(copy.found.includes(`at s3://backups/copy/?endpoint=${s3.endpoint}`), copy.found);
    const [stillWell, refused] = await checked({ BACKUP_STORAGE_COPY_ID: "somebody" });
    assert.deepEqual([stillWell.ok, refused.error.code], [true, "storage_refused"]);
    const [, lacking] = await checked({ BACKUP_STORAGE_COPY_KEY: "" });
    assert.match(lacking.error.hint, /secrets set BACKUP_STORAGE_COPY_KEY=/);
  },
);

Deno.test("a wrong storage key and a placeholder each have their own error", shared, async () => {
  const { variant, s3 } = await start();
  await using wrong = variant({ ...inEnvironment(s3, "x"), BACKUP_STORAGE_ACCESS_KEY: "somebody" });
  assert.equal((await post(wrong, "verify")).body.error.code, "storage_refused");
  const placeholder = { ...inEnvironment(s3, "x"), BACKUP_STORAGE_ACCESS_KEY: "your-access-key" };
  await using example = variant(placeholder);
  const { error } = (await post(example, "verify")).body;
  assert.deepEqual([error.code, /placeholder/.test(error.message)], ["invalid_config", true]);
});

Deno.test("keys and credentials come out of the Vault by reference", shared, async () => {
  const { variant, s3, admin, variables } = await start();
  await using session = await admin();
  await session.execute(`
    drop schema if exists vault cascade;
    create schema vault authorization postgres;
    create table vault.secrets (name text, secret text);
    create view vault.decrypted_secrets as select name, secret as decrypted_secret from vault.secrets;
    alter view vault.decrypted_secrets owner to postgres;
    alter table vault.secrets owner to postgres;
    insert into vault.secrets values
      ('backup_access', '${s3.credentials.AWS_ACCESS_KEY_ID}'),
      ('backup_secret', '${s3.credentials.AWS_SECRET_ACCESS_KEY}'),
      ('backup_key', '${variables.BACKUP_ENCRYPTION_KEY}'),
      ('other', 'a secret of the application')`);
  await using service = variant({ ...NO_STORAGE, BACKUP_ENCRYPTION_KEY: "" });
  const backupStorageConfig = {
    bucket: "backups",
    prefix: "vault",
    endpoint: s3.endpoint,
    accessKey: "vault://backup_access",
    secretKey: "vault://backup_secret",
  };
  const config = {
    backupStorageType: "s3",
    backupStorageConfig,
    encryptionKey: "vault://backup_key",
  };
  const report = await post(service, "init", { config });
  assert.equal(report.status, 200, JSON.stringify(report.body));
  const backup = await post(service, "backup-database&wait=60");
  assert.equal(backup.status, 200, JSON.stringify(backup.body.error));
  const status = await call(service, "status");
  assert.equal(status.body.data.storage.ok, true, status.body.data.storage.found);
  assert.equal(status.body.data.settings.encryptionKey, "vault://backup_key");
  const answers = JSON.stringify([report.body, backup.body, status.body]);
  assert.ok(!answers.includes(variables.BACKUP_ENCRYPTION_KEY as string));
  const missing = {
    backupStorageConfig: { ...backupStorageConfig, accessKey: "vault://backup_gone" },
  };
  await post(service, "update-config", { updates: missing });
  const lacking = await post(service, "verify");
  assert.equal(lacking.body.error.code, "invalid_config");
  assert.match(lacking.body.error.hint, /vault\.create_secret\('…', 'backup_gone'\)/);
  const stolen = { backupStorageConfig: { ...backupStorageConfig, accessKey: "vault://other" } };
  assert.equal((await post(service, "update-config", { updates: stolen })).status, 400);
  await post(service, "update-config", { rollbackTo: 0 });
});

Deno.test(
  "a row or a request may name only hosts that the environment allows",
  shared,
  async () => {
    const { variant, s3, admin } = await start();
    const credentials = { accessKey: "vault://backup_access", secretKey: "vault://backup_secret" };
    const change = (endpoint: string) => ({
      backupStorageType: "s3",
      backupStorageConfig: { bucket: "backups", endpoint, ...credentials },
    });
    await using here = variant(NO_STORAGE);
    for (
      const endpoint of ["https://evil.example", "http://169.254.169.254", "https://10.0.0.7:9000"]
    ) {
      const refused = await post(here, "update-config", {
        updates: change(endpoint),
        dryRun: true,
      });
      assert.equal(refused.status, 400, endpoint);
      assert.equal(refused.body.error.details.host, new URL(endpoint).hostname);
      assert.match(refused.body.error.hint, /BACKUP_ALLOWED_HOSTS/);
      assert.equal((await post(here, "init", { config: change(endpoint) })).status, 400, endpoint);
    }
    const dryRun = { updates: change(s3.endpoint), dryRun: true };
    assert.equal((await post(here, "update-config", dryRun)).status, 200, "this machine");
    await using hosted = variant({ ...NO_STORAGE, SB_EXECUTION_ID: "hosted" });
    assert.equal((await post(hosted, "update-config", dryRun)).status, 400, "no loopback there");
    const BACKUP_ALLOWED_HOSTS = new URL(s3.endpoint).host;
    await using listed = variant({
      ...NO_STORAGE,
      SB_EXECUTION_ID: "hosted",
      BACKUP_ALLOWED_HOSTS,
    });
    assert.equal((await post(listed, "update-config", dryRun)).status, 200);
    // A row can be written past the service: what it names is refused when it is used.
    await using session = await admin();
    await session.execute(`
    insert into public.backup_config (config_key, config_value) values
      ('backupStorageType', '"s3"'), ('backupStorageConfig',
        '{"bucket": "b", "endpoint": "https://evil.example", "accessKey": "vault://backup_access",
          "secretKey": "vault://backup_secret"}')`);
    const status = (await call(here, "status")).body.data;
    assert.match(status.storage.found, /invalid_config.*evil\.example/);
    await session.execute("delete from public.backup_config");
    for (const bucket of ["b?endpoint=https://evil.example", "b/../c", "b#x"]) {
      const updates = { backupStorageType: "s3", backupStorageConfig: { bucket, ...credentials } };
      assert.equal((await post(here, "update-config", { updates })).status, 400, bucket);
    }
  },
);

Deno.test(
  "a database from the Vault must be at a host that the environment allows",
  shared,
  async () => {
    const { variant, variables, s3, admin } = await start();
    await using session = await admin();
    await session.execute(`insert into vault.secrets values
    ('elsewhere', 'postgres://postgres:hunter2@db.evil.example/postgres'),
    ('no_address', 'sb_secret_not_an_address')`);
    await using service = variant(inEnvironment(s3, "end-to-end"));
    const restore = { backupId: "latest", type: "database", dryRun: true };
    for (const name of ["elsewhere", "no_address"]) {
      const refused = await post(service, "restore", {
        ...restore,
        targetDatabaseUrl: `vault://${name}`,
      });
      assert.equal(refused.status, 400);
      assert.equal(refused.body.error.code, "invalid_config");
      assert.doesNotMatch(JSON.stringify(refused.body), /hunter2|sb_secret/);
    }
    await using other = variant({
      ...inEnvironment(s3, "end-to-end"),
      RESTORE_TARGET: variables.SUPABASE_DB_URL as string,
    });
    const planned = await post(other, "restore&wait=60", {
      ...restore,
      targetDatabaseUrl: "env:RESTORE_TARGET",
    });
    assert.equal(planned.status, 200, JSON.stringify(planned.body.error));
  },
);

Deno.test(
  "Google Cloud is set up by the environment, proves its lock, and keeps a backup",
  shared,
  async () => {
    const { variant } = await start();
    const gcs = await startGcsServer();
    await using service = variant({
      ...NO_STORAGE,
      BACKUP_STORAGE_TYPE: "gcs",
      BACKUP_STORAGE_BUCKET: "backups",
      BACKUP_STORAGE_PREFIX: "locked",
      BACKUP_STORAGE_ENDPOINT: gcs.endpoint,
      BACKUP_STORAGE_SECRET_KEY: btoa(gcs.keyFile),
      BACKUP_STORAGE_CLASS: "COLDLINE",
      BACKUP_STORAGE_LOCK_MODE: "compliance",
      BACKUP_STORAGE_LOCK_DAYS: "30",
    });
    const storage = (await call(service, "test")).body.data.checks
      .find(({ name }: { name: string }) => name === "storage");
    assert.equal(storage.ok, true, JSON.stringify(storage));
    const lock = storage.findings.find(({ check }: { check: string }) => check === "lock");
    assert.deepEqual([lock.severity, /stays locked until/.test(lock.found)], ["ok", true]);
    const first = await post(service, "backup-database&wait=60");
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.equal(first.body.data.location, "gs://backups/locked/");
    // A day later everything that the second backup uses again is locked anew.
    const kept = [...gcs.objects].filter(([name]) => !name.startsWith("locked/probe/"));
    for (const [, { retention }] of kept) {
      retention!.retainUntilTime = new Date(Date.now() + 29 * 86_400_000).toISOString();
    }
    assert.equal((await post(service, "backup-database&wait=60")).status, 200);
    const soon = Date.now() + 29.9 * 86_400_000;
    const loose = kept.filter(([, { retention }]) => Date.parse(retention!.retainUntilTime) < soon);
    const folders = loose.map(([name]) => name.split("/")[1]);
    assert.deepEqual(folders.sort(), ["backups", "manifests"], "those of the first backup alone");
    assert.ok(kept.every(([, { storageClass }]) => storageClass === "COLDLINE"));
    await gcs.close();
  },
);

Deno.test("Azure is set up by the environment, and says what its key opens", shared, async () => {
  const { variant } = await start();
  const azure = await startAzureServer();
  const settings = {
    ...NO_STORAGE,
    BACKUP_STORAGE_TYPE: "azure",
    BACKUP_STORAGE_BUCKET: await azure.container(),
    BACKUP_STORAGE_ACCESS_KEY: azure.account,
    BACKUP_STORAGE_SECRET_KEY: azure.key,
    BACKUP_STORAGE_ENDPOINT: azure.endpoint,
  };
  const checkOf = async (variables: Record<string, string>) => {
    await using service = variant(variables);
    const { checks } = (await call(service, "test")).body.data;
    return checks.find(({ name }: { name: string }) => name === "storage");
  };
  const good = await checkOf(settings);
  assert.equal(good.ok, true, JSON.stringify(good));
  assert.match(good.found, /see more than this bucket/);
  // Azurite has no immutability: a lock that is asked for cannot be relied on.
  const locked = { BACKUP_STORAGE_LOCK_MODE: "governance", BACKUP_STORAGE_LOCK_DAYS: "7" };
  const unlocked = await checkOf({ ...settings, ...locked });
  assert.deepEqual([unlocked.ok, unlocked.error.code], [false, "storage_refused"]);
  assert.match(unlocked.error.message, /Cannot rely on .*Cannot lock/);
  const nowhere = await checkOf({ ...settings, BACKUP_STORAGE_BUCKET: "nowhere" });
  assert.match(nowhere.error.message, /no such container/);
  await azure.close();
});

Deno.test("the service stops cleanly", shared, async () => {
  const { service, stop, s3 } = await start();
  await s3.close();
  await stop();
  await assert.rejects(fetch(service.url));
});
