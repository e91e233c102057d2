/**
 * How well the service says it is: with all there is, with one half of it gone, and to whom.
 *
 * @module
 */
import assert from "node:assert/strict";
import { freePort } from "../../scripts/embedded_postgres.ts";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { createApp } from "../../supabase/functions/backup/http/create_app.ts";
import { schedulerKeys } from "../../supabase/functions/backup/core/scheduler_key.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  type Answer,
  call,
  KEYS,
  NOTHING_DUE,
  post,
  type ServiceUnderTest,
  startServiceUnderTest,
} from "../support/service.ts";

// One service for the file: the last test stops it.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () => starting ??= open();

/** Only backups of the database: the others need a platform. */
async function open(): Promise<ServiceUnderTest> {
  const service = await startServiceUnderTest({
    ...NOTHING_DUE,
    BACKUP_ENABLE_DATABASE_BACKUP: "true",
  });
  await using session = await service.admin();
  await session.execute(`
    create table public.notes as select i as id, 'note ' || i as body from generate_series(1, 500) i;
    alter table public.notes owner to postgres`);
  return service;
}

/** Severities by the names of the checks. */
function severities({ body }: Answer): Record<string, string> {
  const checks: { name: string; severity: string }[] = body.data.checks;
  return Object.fromEntries(checks.map(({ name, severity }) => [name, severity]));
}

/** A check of an answer. */
function checkOf({ body }: Answer, name: string) {
  const checks: { name: string; message: string; recommendation: string | null }[] =
    body.data.checks;
  return checks.find((check) => check.name === name)!;
}

/** Takes connections and never says a word. */
function silentServer(): { port: number } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open: Deno.Conn[] = [];
  const accept = async () => {
    for await (const connection of listener) open.push(connection);
  };
  const accepting = accept().catch(() => {}); // the listener is closed
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of open) connection.close();
    },
  };
}

/** The variables of a database, and of a bucket, at a port. */
const databaseAt = (port: number) => ({
  SUPABASE_DB_URL: `postgres://postgres@127.0.0.1:${port}/postgres`,
});
const bucketAt = (port: number) => ({
  ...{ BACKUP_STORAGE_TYPE: "s3", BACKUP_STORAGE_PATH: "", BACKUP_STORAGE_BUCKET: "backups" },
  ...{ BACKUP_STORAGE_ENDPOINT: `http://127.0.0.1:${port}` },
  ...{ BACKUP_STORAGE_ACCESS_KEY: "AKIA", BACKUP_STORAGE_SECRET_KEY: "secret" },
});

Deno.test(
  "health is 503 before there are tables and a backup, and says what to do",
  shared,
  async () => {
    const { service } = await start();
    const before = await call(service, "health");
    assert.equal(before.status, 503);
    assert.equal(severities(before).database, "critical");
    assert.match(checkOf(before, "database").recommendation!, /action=init/);

    assert.equal((await post(service, "init")).status, 200);
    const { status, body } = await call(service, "health");
    assert.equal(status, 503);
    assert.deepEqual([body.success, body.data.severity], [false, "critical"]);
    assert.equal(body.error.code, "unhealthy");
    assert.match(body.error.message, /: last-backup-database is critical \(there is no backup/);
    assert.match(body.error.hint, /action=backup-database/);
  },
);

Deno.test("health is 200 with a backup, and what is left to do are warnings", shared, async () => {
  const { service } = await start();
  assert.equal((await post(service, "backup-database&wait=60")).status, 200);
  const backed = await call(service, "health");
  assert.deepEqual([backed.status, backed.body.success], [200, true], JSON.stringify(backed.body));
  const found = severities(backed);
  assert.equal(backed.body.data.severity, "warning");
  assert.deepEqual([found["last-backup-database"], found.integrity], ["ok", "warning"]);
  assert.ok(!("last-backup-files" in found), "it is switched off");

  assert.equal((await post(service, "verify&wait=60", { level: "full" })).status, 200);
  const restored = await post(service, "restore&wait=60", {
    ...{ backupId: "test_backup", type: "database" },
  });
  assert.equal(restored.status, 200, JSON.stringify(restored.body));
  const tested = await call(service, "health");
  assert.equal(severities(tested).integrity, "ok");
  // Nobody has shown yet that the key is kept outside.
  assert.equal(severities(tested)["restore-capability"], "warning");
  const { message } = checkOf(tested, "restore-capability");
  assert.match(message, /the key is kept outside/);
  assert.doesNotMatch(message, /restored and compared yet/);
});

Deno.test(
  "health is 503 when a verification has found damage, until the backup is whole again",
  shared,
  async () => {
    const { service, variables } = await start();
    const folder = `${variables.BACKUP_STORAGE_PATH}/chunks`;
    const [{ name: group } = { name: "" }] = await Array.fromAsync(Deno.readDir(folder));
    const [{ name } = { name: "" }] = await Array.fromAsync(Deno.readDir(`${folder}/${group}`));
    const path = `${folder}/${group}/${name}`;
    await Deno.rename(path, `${variables.BACKUP_STORAGE_PATH}-away`);
    await post(service, "verify&wait=60", { level: "full" });
    const damaged = await call(service, "health");
    assert.equal(damaged.status, 503, JSON.stringify(damaged.body));
    assert.equal(severities(damaged).integrity, "critical");
    assert.match(checkOf(damaged, "integrity").message, /damage in backup_/);

    await Deno.rename(`${variables.BACKUP_STORAGE_PATH}-away`, path);
    assert.equal((await post(service, "verify&wait=60", { level: "full" })).status, 200);
    assert.equal((await call(service, "health")).status, 200);
  },
);

Deno.test(
  "health is 503 when the storage has lost a backup that the tables know",
  shared,
  async () => {
    const { service, variables } = await start();
    const folder = `${variables.BACKUP_STORAGE_PATH}/backups`;
    const [{ name } = { name: "" }] = await Array.fromAsync(Deno.readDir(folder));
    await Deno.rename(`${folder}/${name}`, `${variables.BACKUP_STORAGE_PATH}-away`);
    const lost = await call(service, "health");
    assert.equal(lost.status, 503, JSON.stringify(lost.body));
    const found = severities(lost);
    assert.deepEqual([found.storage, found["lost-backups"]], ["ok", "critical"]);
    assert.match(checkOf(lost, "lost-backups").message, new RegExp(`^backups_lost: .*${name}`));
    // The only one there was.
    assert.equal(found["last-backup-database"], "critical");

    await Deno.rename(`${variables.BACKUP_STORAGE_PATH}-away`, `${folder}/${name}`);
    assert.equal((await call(service, "health")).status, 200);
  },
);

Deno.test(
  "health answers in time while somebody holds one of the service's tables",
  shared,
  async () => {
    const { admin, variant } = await start();
    await using session = await admin();
    for (
      const table of ["public.backup_jobs", "public.backup_config", "public.backup_verification"]
    ) {
      await session.execute(`begin; lock table ${table} in access exclusive mode`);
      await using service = variant({});
      const answer = await quickly(() => call(service, "health"));
      await session.execute("rollback");
      assert.equal(answer.status, 503, JSON.stringify(answer.body));
      const { database, storage, integrity } = severities(answer);
      assert.deepEqual([database, storage, integrity], ["critical", "ok", "unknown"], table);
      assert.match(checkOf(answer, "database").message, /did not answer in 8 s/);
    }
  },
);

Deno.test("health says which setting leaves unknown where the backups are", shared, async () => {
  const { service, admin, variant } = await start();
  await using session = await admin();
  const where = "where config_key = 'backupStorageType'";
  await session.execute(
    `insert into public.backup_config (config_key, config_value) values ('backupStorageType', '"nonsense"')`,
  );
  await using unset = variant({ BACKUP_STORAGE_TYPE: "" });
  const answer = await call(unset, "health");
  await session.execute(`delete from public.backup_config ${where}`);
  assert.equal(answer.status, 503, JSON.stringify(answer.body));
  const { settings, ...others } = severities(answer);
  assert.deepEqual([settings, new Set(Object.values(others))], ["critical", new Set(["unknown"])]);
  assert.match(checkOf(answer, "settings").message, /backupStorageType/);
  assert.equal((await call(service, "health")).status, 200);
});

/** Answers in time: where somebody says nothing, he is waited for once, and not with every question. */
async function quickly(answer: () => Promise<Answer>): Promise<Answer> {
  const begunMs = performance.now();
  const given = await answer();
  const seconds = (performance.now() - begunMs) / 1000;
  assert.ok(seconds < 30, `${seconds} s`);
  return given;
}

Deno.test(
  "health answers from storage while the database is down, and in time when it says nothing",
  shared,
  async () => {
    const { variant } = await start();
    await using silent = silentServer();
    for (const port of [freePort(), silent.port]) {
      await using service = variant(databaseAt(port));
      const answer = await quickly(() => call(service, "health"));
      assert.equal(answer.status, 503, JSON.stringify(answer.body));
      const { database, storage, integrity, ...found } = severities(answer);
      assert.deepEqual([database, storage, integrity], ["critical", "ok", "unknown"]);
      assert.equal(found["last-backup-database"], "ok");
      assert.match(checkOf(answer, "database").message, /^database_unreachable: /);
    }
  },
);

Deno.test(
  "health answers while the storage is down, and in time when it says nothing",
  shared,
  async () => {
    const { variant } = await start();
    await using silent = silentServer();
    for (const port of [freePort(), silent.port]) {
      await using service = variant(bucketAt(port));
      const answer = await quickly(() => call(service, "health"));
      assert.equal(answer.status, 503, JSON.stringify(answer.body));
      const { database, storage, ...found } = severities(answer);
      assert.deepEqual([database, storage], ["ok", "critical"]);
      assert.equal(found["last-backup-database"], "unknown");
      assert.match(checkOf(answer, "storage").message, /^storage_unreachable: /);
    }
  },
);

Deno.test("health answers with neither database nor storage", shared, async () => {
  const { variant } = await start();
  await using silent = silentServer();
  for (const port of [freePort(), silent.port]) {
    await using service = variant({ ...databaseAt(port), ...bucketAt(port) });
    const answer = await quickly(() => call(service, "health"));
    assert.equal(answer.status, 503, JSON.stringify(answer.body));
    const { database, storage, ...others } = severities(answer);
    assert.deepEqual([database, storage], ["critical", "critical"]);
    assert.ok(!Object.values(others).includes("critical"), JSON.stringify(others));
    assert.match(answer.body.error.message, /: database is critical .*; so are storage$/);
  }
});

/** What the same service will answer after so many hours without a backup. */
async function hoursLater(hours: number): Promise<Answer> {
  const { variables } = await start();
  const deps = createDeps({ environment: readEnvironment((name) => variables[name]) });
  const later = () => new Date(Date.now() + hours * 3_600_000);
  const { fetch } = createApp({ ...deps, clock: { ...systemClock, now: later } });
  const request = new Request("http://127.0.0.1/functions/v1/backup?action=health", {
    headers: { apikey: KEYS.secret },
  });
  try {
    const answer = await fetch(request);
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
  } finally {
    await deps.state.close();
  }
}

Deno.test(
  "health is 503 once the newest backup is older than one and a half intervals",
  shared,
  async () => {
    const early = await hoursLater(35);
    assert.equal(early.status, 200, JSON.stringify(early.body));
    assert.equal(severities(early)["last-backup-database"], "ok");
    const late = await hoursLater(37);
    assert.equal(late.status, 503);
    assert.equal(severities(late)["last-backup-database"], "critical");
    assert.match(checkOf(late, "last-backup-database").message, / is older than 36 hours/);
    assert.match(checkOf(late, "last-backup-database").recommendation!, /action=backup-database/);
  },
);

Deno.test(
  "health warns of a newest backup that holds less than half of the one before, until the next",
  shared,
  async () => {
    const { service, admin } = await start();
    await using session = await admin();
    await session.execute("delete from public.notes where id > 200");
    assert.equal((await post(service, "backup-database&wait=60")).status, 200);
    const shrunk = await call(service, "health");
    assert.deepEqual([shrunk.status, severities(shrunk).sizes], [200, "warning"]);
    assert.match(checkOf(shrunk, "sizes").message, /200 rows, and \S+ before it holds 500/);
    assert.equal((await post(service, "backup-database&wait=60")).status, 200);
    assert.equal(severities(await call(service, "health")).sizes, "ok");
  },
);

Deno.test("health opens with a secret key alone, by GET", shared, async () => {
  const { service } = await start();
  const [scheduler] = await schedulerKeys({
    secretKeys: [{ name: "default", key: new Secret(KEYS.secret) }],
    serviceRoleKey: null,
    allowedKeys: null,
  });
  const keys: [string | false, number][] = [
    ...[[false, 401], [KEYS.anon, 403], [KEYS.publishable, 403]] as [string | false, number][],
    [(scheduler as Secret).reveal(), 403],
  ];
  for (const [key, status] of keys) {
    const refused = await call(service, "health", { key });
    assert.equal(refused.status, status, String(key));
    assert.equal(refused.body.data, undefined);
  }
  assert.equal((await post(service, "health")).status, 405);
  assert.equal((await call(service, "health&verbose=1")).status, 400);
});

Deno.test("the project of health stops cleanly", shared, async () => {
  await (await start()).stop();
});
