import assert from "node:assert/strict";
import {
  call,
  KEYS,
  post,
  type ServiceUnderTest,
  startServiceUnderTest,
} from "../support/service.ts";

// One service for the file: the last test stops it.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () => starting ??= startServiceUnderTest();

Deno.test("the service refuses a request without a key", shared, async () => {
  const { service } = await start();
  const { status, headers, body } = await call(service, "status", { key: false });
  assert.equal(status, 401);
  assert.equal(body.success, false);
  assert.equal(body.error.code, "unauthorized");
  assert.match(headers.get("x-request-id") ?? "", /^req_/);
  assert.equal(headers.get("www-authenticate"), "Bearer");
});

Deno.test("the service tells a stranger nothing about its actions", shared, async () => {
  const { service } = await start();
  const { status, body } = await call(service, "no-such-action", { key: false });
  assert.equal(status, 401);
  assert.equal(body.error.details, undefined);
});

for (
  const [name, key, expected] of [
    ["an unknown key", "sb_secret_wrong", 401],
    ["the anonymous key", KEYS.anon, 403],
    ["a publishable key", KEYS.publishable, 403],
    ["a user's token", "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYXV0aGVudGljYXRlZCJ9.x", 401],
    ["a prefix of the key", KEYS.secret.slice(0, -1), 401],
  ] as const
) {
  Deno.test(`the service refuses ${name}`, shared, async () => {
    const { service } = await start();
    for (const headers of [{ apikey: key }, { authorization: `Bearer ${key}` }] as const) {
      const { status, body } = await call(service, "jobs", { key: false, headers: { ...headers } });
      assert.equal(status, expected);
      assert.equal(body.error.code, expected === 401 ? "unauthorized" : "forbidden");
    }
  });
}

Deno.test(
  "the service takes a secret key in apikey or as Bearer, and the legacy key",
  shared,
  async () => {
    const { service } = await start();
    for (
      const headers of [
        { apikey: KEYS.secret },
        { authorization: `Bearer ${KEYS.other}` },
        { authorization: `Bearer ${KEYS.serviceRole}` },
      ] as Record<string, string>[]
    ) {
      assert.equal((await call(service, "openapi", { key: false, headers })).status, 200);
    }
  },
);

Deno.test("BACKUP_ALLOWED_KEYS limits which keys may call", shared, async () => {
  await using service = (await start()).variant({ BACKUP_ALLOWED_KEYS: "other" });
  assert.equal((await call(service, "openapi")).status, 403);
  assert.equal((await call(service, "openapi", { key: KEYS.other })).status, 200);
});

Deno.test("BACKUP_ALLOW_LEGACY_KEY=false switches the service-role key off", shared, async () => {
  await using service = (await start()).variant({ BACKUP_ALLOW_LEGACY_KEY: "false" });
  assert.equal((await call(service, "openapi", { key: KEYS.serviceRole })).status, 403);
});

Deno.test(
  "BACKUP_ADMIN_KEY is needed besides to restore over the live database",
  shared,
  async () => {
    await using service = (await start()).variant({ BACKUP_ADMIN_KEY: "only-for-two-people" });
    const body = { backupId: "latest", type: "database" };
    assert.equal((await post(service, "restore", body)).status, 403);
    const allowed = await call(service, "restore", {
      body,
      headers: { "x-backup-admin-key": "only-for-two-people" },
    });
    assert.notEqual(allowed.status, 403);
  },
);

Deno.test("a wrong method is 405 and Allow names the right one", shared, async () => {
  const { service } = await start();
  const wrong = await call(service, "status", { method: "DELETE" });
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "GET");
  assert.equal((await call(service, "backup-database")).headers.get("allow"), "POST");
});

Deno.test("an unknown action is 404 and lists the actions", shared, async () => {
  const { service } = await start();
  for (const query of ["nonsense", ""]) {
    const { status, body } = await call(service, query);
    assert.equal(status, 404);
    assert.equal(body.error.code, "unknown_action");
    assert.ok(body.error.details.actions.some((one: { name: string }) => one.name === "status"));
  }
});

Deno.test("a body that is not JSON is 400 and is not quoted", shared, async () => {
  const { service } = await start();
  const { status, body } = await call(service, "restore", { body: '{"password": "hunter2' });
  assert.equal(status, 400);
  assert.equal(body.error.code, "invalid_request");
  assert.doesNotMatch(JSON.stringify(body), /hunter2/);
});

Deno.test("wrong fields are 400 and each path is named", shared, async () => {
  const { service } = await start();
  const { status, body } = await post(service, "restore", {
    backupId: 7,
    type: "database",
    dryRun: "yes",
    surprise: true,
  });
  assert.equal(status, 400);
  const paths = body.error.details.issues.map((issue: { path: string }) => issue.path).sort();
  assert.deepEqual(paths, ["backupId", "dryRun", "surprise"]);
});

for (
  const [name, query, options] of [
    ["an unknown query field", "status&colour=red", {}],
    ["a query field that is there twice", "jobs&limit=1&limit=2", {}],
    ["a number out of bounds", "jobs&limit=0", {}],
    ["a wait that is too long", "backup-database&wait=61", { body: {} }],
    ["a body that is an array", "backup-database", { body: [] }],
    ["a body nested too deeply", "init", { body: `${"[".repeat(40)}${"]".repeat(40)}` }],
    ["a missing field", "job", {}],
    ["a reason with a NUL", "backup-all", { body: { reason: "a\0b" } }],
    [
      "a time after the one up to which is asked",
      "recovery-points&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
      {},
    ],
    [
      "a restore of only what is lost of no named table",
      "restore",
      { body: { backupId: "latest", type: "database", onlyLost: true } },
    ],
    [
      "an item longer than any object's name",
      "restore",
      { body: { backupId: "latest", type: "files", items: ["x".repeat(1126)] } },
    ],
  ] as const
) {
  Deno.test(`${name} is 400`, shared, async () => {
    const { service } = await start();
    const { status, body } = await call(service, query, options);
    assert.equal(status, 400);
    assert.equal(body.error.code, "invalid_request");
  });
}

Deno.test(
  "the longest bucket with the longest object can be restored by name",
  shared,
  async () => {
    const { service } = await start();
    const items = [`${"b".repeat(100)}/${"n".repeat(1024)}`];
    const asked = { backupId: "latest", type: "files", items, acceptHazards: items };
    assert.equal((await post(service, "restore", asked)).status, 404);
  },
);

Deno.test("a body over 1 MiB is 413", shared, async () => {
  const { service } = await start();
  const { status, body } = await post(service, "backup-database", { reason: "x".repeat(1 << 20) });
  assert.equal(status, 413);
  assert.equal(body.error.code, "payload_too_large");
});

Deno.test("another path is 404 as JSON", shared, async () => {
  const { service } = await start();
  const response = await fetch(service.url.replace("/backup", "/elsewhere"));
  assert.equal(response.status, 404);
  assert.equal((await response.json()).success, false);
});

Deno.test("a harmless x-request-id is repeated and another one is not", shared, async () => {
  const { service } = await start();
  const id = async (given: string) =>
    (await call(service, "openapi", { headers: { "x-request-id": given } })).headers
      .get("x-request-id");
  assert.equal(await id("abc-123"), "abc-123");
  assert.match(await id("<script>") ?? "", /^req_/);
});

Deno.test("openapi describes every action that the service lists", shared, async () => {
  const { service } = await start();
  const { body } = await call(service, "openapi");
  const listed = (await call(service, "")).body.error.details.actions as {
    name: string;
    method: string;
  }[];
  assert.equal(body.data.openapi, "3.1.0");
  assert.equal(Object.keys(body.data.paths).length, listed.length);
  for (const { name, method } of listed) {
    assert.ok(body.data.paths[`/?action=${name}`][method.toLowerCase()].responses["200"], name);
  }
  assert.doesNotMatch(JSON.stringify(body.data), /\$defs/);
});

Deno.test(
  "update-config refuses unknown keys, impossible values and secrets as values",
  shared,
  async () => {
    const { service } = await start();
    await post(service, "init");
    for (
      const updates of [
        { databaseBackupIntervall: 12 },
        { databaseBackupInterval: -1 },
        { encryptionKey: "the key itself" },
        { backupStorageConfig: { secretKey: "value" } },
      ]
    ) {
      const { status, body } = await post(service, "update-config", { updates });
      assert.equal(status, 400, JSON.stringify(updates));
      assert.doesNotMatch(JSON.stringify(body), /the key itself/);
    }
  },
);

Deno.test(
  "update-config cannot move backups elsewhere when the environment says where",
  shared,
  async () => {
    const { service } = await start();
    const { status, body } = await post(service, "update-config", {
      updates: { backupStorageConfig: { bucket: "thief" } },
    });
    assert.equal(status, 400);
    assert.deepEqual(body.error.details.keys, ["backupStorageConfig"]);
  },
);

Deno.test("update-config keeps versions, shows outcomes dry, and goes back", shared, async () => {
  const { service } = await start();
  const interval = async () =>
    (await call(service, "status")).body.data.settings.databaseBackupInterval;
  const first =
    (await post(service, "update-config", { updates: { databaseBackupInterval: 12 } })).body;
  assert.deepEqual(first.data.changed, ["databaseBackupInterval"]);
  assert.equal(await interval(), 12);
  await post(service, "update-config", { updates: { databaseBackupInterval: 6 }, dryRun: true });
  assert.equal(await interval(), 12);
  await post(service, "update-config", { updates: { databaseBackupInterval: 6 } });
  assert.equal(await interval(), 6);
  await post(service, "update-config", { rollbackTo: first.data.version });
  assert.equal(await interval(), 12);
  assert.equal((await post(service, "update-config", { rollbackTo: 999 })).status, 404);
  assert.equal((await post(service, "update-config", {})).status, 400);
});

Deno.test("a row of backup_config is checked like a request", shared, async () => {
  const { service, admin } = await start();
  await using session = await admin();
  await session.execute(
    "insert into public.backup_config (config_key, config_value) values ('nonsense', '1')",
  );
  const problems = async () => (await call(service, "status")).body.data.settingsProblems;
  assert.deepEqual(await problems(), [{ path: "nonsense", message: "is not known" }]);
  const refused = await post(service, "update-config", { updates: { maxWorkers: 3 } });
  assert.equal(refused.body.error.code, "invalid_config");
  assert.match(refused.body.error.message, /backup_config.*nonsense/);
  assert.equal((await post(service, "update-config", { rollbackTo: 0 })).status, 200);
  assert.deepEqual(await problems(), []);
});

Deno.test("the service stops cleanly", shared, async () => {
  const { service, stop } = await start();
  await stop();
  await assert.rejects(fetch(service.url));
});
