// deno-lint-ignore-file no-console -- what the service writes to its log is looked at
import assert from "node:assert/strict";
import {
  type Answer,
  call,
  KEYS,
  post,
  type ServiceUnderTest,
  startServiceUnderTest,
} from "../support/service.ts";

// One service for the file: the last test stops it.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () =>
  starting ??= startServiceUnderTest().then(async (test) => {
    await post(test.service, "init");
    return test;
  });

const unsigned = (claims: unknown) =>
  `${btoa('{"alg":"none","typ":"JWT"}')}.${btoa(JSON.stringify(claims))}.`.replaceAll("=", "");

for (
  const [name, headers] of Object.entries<Record<string, string>>({
    "Bearer without a key": { authorization: "Bearer" },
    "Bearer and a space": { authorization: "Bearer " },
    "a key without Bearer": { authorization: KEYS.secret },
    "another scheme": { authorization: `Basic ${KEYS.secret}` },
    "two keys in one header": { apikey: `${KEYS.anon}, ${KEYS.secret}` },
    "two Bearer keys": { authorization: `Bearer ${KEYS.anon} ${KEYS.secret}` },
    "another case": { apikey: KEYS.secret.toUpperCase() },
    "a key in quotes": { apikey: `"${KEYS.secret}"` },
    "the name of a key": { apikey: "default" },
    "the name of the legacy key": { apikey: "service_role" },
    "an unsigned token": { authorization: `Bearer ${unsigned({ role: "service_role" })}` },
    "a key with a tail": { apikey: `${KEYS.secret}x` },
    "the key in a cookie": { cookie: `apikey=${KEYS.secret}` },
    "an empty key": { apikey: "" },
    "undefined": { apikey: "undefined" },
    "null": { authorization: "Bearer null" },
  })
) {
  Deno.test(`nobody enters with ${name}`, shared, async () => {
    const { service } = await start();
    const { status, body } = await call(service, "status", { key: false, headers });
    assert.equal(status, 401);
    assert.equal(body.data, undefined);
    assert.equal(body.error.details, undefined);
  });
}

Deno.test("the key in the query opens nothing", shared, async () => {
  const { service } = await start();
  assert.equal((await call(service, `status&apikey=${KEYS.secret}`, { key: false })).status, 401);
});

Deno.test("a service without keys lets nobody in", shared, async () => {
  await using service = (await start()).variant({
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: "" }),
    SUPABASE_SERVICE_ROLE_KEY: "",
  });
  for (const key of ["", " ", "undefined", "***", KEYS.secret]) {
    assert.equal((await call(service, "openapi", { key })).status, 401);
    const headers = { authorization: `Bearer ${key}` };
    assert.equal((await call(service, "openapi", { key: false, headers })).status, 401);
  }
});

Deno.test("the service-role key opens until its own time is over", shared, async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const [exp, status] of [[now - 60, 401], [now + 3600, 200]] as const) {
    const claims = btoa(JSON.stringify({ role: "service_role", exp })).replaceAll("=", "");
    const key = `eyJhbGciOiJIUzI1NiJ9.${claims}.signed`;
    await using service = (await start()).variant({ SUPABASE_SERVICE_ROLE_KEY: key });
    const headers = { authorization: `Bearer ${key}` };
    const answer = await call(service, "openapi", { key: false, headers });
    assert.equal(answer.status, status, JSON.stringify(answer.body.error));
    if (status === 401) assert.match(answer.body.error.message, /has expired$/);
    assert.equal((await call(service, "openapi")).status, 200, "the secret key is another one");
  }
});

Deno.test("a public key that is also listed as secret opens nothing", shared, async () => {
  await using service = (await start()).variant({ SUPABASE_SERVICE_ROLE_KEY: KEYS.anon });
  assert.equal((await call(service, "openapi", { key: KEYS.anon })).status, 403);
  assert.equal((await call(service, "openapi")).status, 200);
});

Deno.test(
  "BACKUP_ADMIN_KEY is needed whatever the target's reference leads to",
  shared,
  async () => {
    await using service = (await start()).variant({ BACKUP_ADMIN_KEY: "only-for-two-people" });
    const body = { backupId: "latest", type: "database", targetDatabaseUrl: "env:SUPABASE_DB_URL" };
    assert.equal((await post(service, "restore", body)).status, 403);
    assert.equal((await post(service, "update-config", { updates: {} })).status, 403);
    assert.equal((await post(service, "init", { config: { compressionLevel: 3 } })).status, 403);
  },
);

for (
  const [name, query, options, status] of [
    ["an action that is there twice", "status&action=openapi", {}, 400],
    ["a field named like a part of every object", "jobs&toString=1", {}, 400],
    ["a field named __proto__", "jobs&__proto__=1", {}, 400],
    ["an action named like a part of every object", "constructor", {}, 404],
    ["an action in another case", "STATUS", {}, 404],
    ["a body with __proto__", "backup-database", { body: '{"__proto__":{"wait":1}}' }, 400],
    [
      "settings with __proto__",
      "update-config",
      { body: '{"updates":{"__proto__":{"compressionLevel":1}}}' },
      400,
    ],
    [
      "settings with constructor",
      "init",
      { body: '{"config":{"constructor":{"prototype":{"x":1}}}}' },
      400,
    ],
    ["a wait that is huge", "backup-database&wait=1e99", { body: {} }, 400],
    ["a wait below nothing", "backup-database&wait=-1", { body: {} }, 400],
    ["a wait that is no number", "backup-database&wait=NaN", { body: {} }, 400],
    ["a body that is null", "backup-database", { body: "null" }, 400],
    ["a body that is text", "backup-database", { body: '"init"' }, 400],
    ["a million brackets", "backup-database", { body: "[".repeat(1_000_000) }, 400],
    ["a body of bytes that are no UTF-8", "backup-database", { body: "\u{dfff}{" }, 400],
    ["PUT", "status", { method: "PUT" }, 405],
    ["OPTIONS", "status", { method: "OPTIONS" }, 405],
    ["PATCH", "status", { method: "PATCH" }, 405],
    ["SQL in an id", "job&jobId=x'%20or%201=1--", {}, 404],
    ["a zero byte in an id", "job&jobId=backup%00", {}, 404],
    ["a path as backup", "verify", { body: { backupId: "../../repository.json" } }, 404],
    ["a zero byte as backup", "verify", { body: { backupId: "\u0000" } }, 404],
    [
      "a path as target",
      "restore",
      { body: { backupId: "latest", type: "database", targetDatabaseUrl: "file:///etc/passwd" } },
      400,
    ],
    [
      "an address as target",
      "restore",
      { body: { backupId: "latest", type: "database", targetDatabaseUrl: "postgres://h/d" } },
      400,
    ],
    [
      "another secret as a credential of storage",
      "update-config",
      { body: { updates: { backupStorageConfig: { accessKey: "env:BACKUP_ENCRYPTION_KEY" } } } },
      400,
    ],
  ] as const
) {
  Deno.test(`${name} is ${status}`, shared, async () => {
    const { service } = await start();
    const answer = await call(service, query, options);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.equal(answer.body.success, false);
    assert.notEqual(answer.body.error.code, "internal");
  });
}

Deno.test("a body of 10 MB is refused before it is read", shared, async () => {
  const { service } = await start();
  const { status } = await call(service, "backup-database", { body: " ".repeat(10_000_000) });
  assert.equal(status, 413);
});

Deno.test("no page of another origin may read answers", shared, async () => {
  const { service } = await start();
  const headers = { origin: "https://example.org" };
  const answer = await call(service, "status", { headers });
  assert.equal(answer.headers.get("access-control-allow-origin"), null);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
});

Deno.test(
  "a row cannot move backups away from where the environment keeps them",
  shared,
  async () => {
    const { service, admin, variables } = await start();
    await using session = await admin();
    await session.execute(`
    insert into public.backup_config (config_key, config_value) values
      ('backupStorageConfig', '{"path": "/nowhere/else"}'), ('backupStorageType', '"s3"')`);
    const { settings, storage } = (await call(service, "status")).body.data;
    assert.equal(settings.backupStorageType, "local");
    assert.equal(settings.backupStorageConfig.path, variables.BACKUP_STORAGE_PATH);
    assert.equal(storage.ok, true);
    await session.execute("delete from public.backup_config");
  },
);

Deno.test("no secret is in an answer, the log, the audit log or a job", shared, async () => {
  const { variant, variables, admin } = await start();
  const secrets = {
    password: "hunter2/of?the@database",
    access: "AKIA-hunter3",
    secret: "hunter4-of-the-bucket",
  };
  const logged: string[] = [];
  const { error } = console;
  console.error = (...words: unknown[]) => void logged.push(words.map(String).join(" "));
  try {
    const databaseUrl = variables.SUPABASE_DB_URL as string;
    const broken: Record<string, string>[] = [
      { SUPABASE_DB_URL: databaseUrl.replace("postgres@", `postgres:${secrets.password}@`) },
      { SUPABASE_DB_URL: `postgres://nobody:${secrets.password}@127.0.0.1:1/postgres` },
      { SUPABASE_DB_URL: `mysql://nobody:${secrets.password}@127.0.0.1/postgres` },
      {
        BACKUP_STORAGE_TYPE: "s3",
        BACKUP_STORAGE_BUCKET: "b",
        BACKUP_STORAGE_ENDPOINT: "http://127.0.0.1:1",
      },
      {
        BACKUP_STORAGE_TYPE: "s3",
        BACKUP_STORAGE_BUCKET: "b/../c",
        BACKUP_STORAGE_ENDPOINT: "http://[",
      },
    ];
    const answers: unknown[] = [];
    const tryAll = async (change: Record<string, string>) => {
      await using service = variant({
        BACKUP_STORAGE_ACCESS_KEY: secrets.access,
        BACKUP_STORAGE_SECRET_KEY: secrets.secret,
        OTHER: `postgres://u:${secrets.password}@127.0.0.1:1/d`,
        ...change,
      });
      answers.push(await call(service, "test"));
      // A storage that does not answer is asked again and again: once is enough here.
      if ("BACKUP_STORAGE_TYPE" in change) return;
      for (const query of ["init", "backup-database&wait=60", "verify&wait=60"]) {
        answers.push(await post(service, query));
      }
      const restore = { backupId: "latest", type: "database", targetDatabaseUrl: "env:OTHER" };
      answers.push(await post(service, "restore&wait=60", restore));
      for (const query of ["status", "jobs"]) answers.push(await call(service, query));
    };
    // The others mostly wait for what does not answer, so they wait together.
    await tryAll(broken[0]!);
    await Promise.all(broken.slice(1).map(tryAll));
    assert.equal((answers[0] as Answer).body.data.ok, true, "a pasted password is understood");
    await using session = await admin();
    for (const table of ["backup_jobs", "restore_jobs", "backup_audit_log", "backup_config"]) {
      answers.push(await session.query(`select t::text from public.${table} t`));
    }
    const everything = JSON.stringify(answers) + logged.join("\n");
    const hidden = [...Object.values(secrets), ...Object.values(KEYS), "hunter2"];
    hidden.push(variables.BACKUP_ENCRYPTION_KEY as string);
    for (const secret of hidden) {
      const at = everything.indexOf(secret);
      assert.equal(at, -1, everything.slice(Math.max(0, at - 300), at + 100));
    }
  } finally {
    console.error = error;
  }
});

Deno.test("an address in the tables is never followed", shared, async () => {
  const { service, admin } = await start();
  const made = await post(service, "backup-config&wait=60");
  assert.equal(made.status, 200, JSON.stringify(made.body));
  let asked = 0;
  const elsewhere = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    asked++;
    return new Response("");
  });
  try {
    const endpoint = encodeURIComponent(`http://127.0.0.1:${elsewhere.addr.port}`);
    await using session = await admin();
    await session.query(
      "update public.backup_jobs set location = $1, locations = $2::text::jsonb",
      [
        `s3://evil/?endpoint=${endpoint}`,
        JSON.stringify([`s3://evil/?endpoint=${endpoint}`]),
      ],
    );
    const asking: [string, unknown][] = [
      ["init", {}],
      ["verify&wait=60", { backupId: made.body.data.jobId }],
      ["restore&wait=60", { backupId: made.body.data.jobId, type: "config", dryRun: true }],
      ["cleanup&wait=60", { dryRun: true }],
    ];
    for (const [query, body] of asking) {
      const answer = await post(service, query, body);
      assert.equal(answer.status, 200, `${query}: ${JSON.stringify(answer.body)}`);
    }
    for (const query of ["status", "test", "jobs", "recovery-points"]) {
      assert.equal((await call(service, query)).status, 200, query);
    }
    assert.equal(asked, 0);
  } finally {
    await elsewhere.shutdown();
  }
});

Deno.test("an error of the database tells no value of a row", shared, async () => {
  const { service, admin } = await start();
  await using session = await admin();
  await session.execute(`
    create table public.words (word text primary key);
    create table public.uses (word text references public.words);
    alter table public.words owner to postgres; alter table public.uses owner to postgres`);
  const made = await post(service, "backup-database&wait=60");
  assert.equal(made.status, 200, JSON.stringify(made.body));
  await session.execute(
    "insert into public.words values ('hunter9'); insert into public.uses values ('hunter9')",
  );
  const logged: string[] = [];
  const { error } = console;
  console.error = (...words: unknown[]) => void logged.push(words.map(String).join(" "));
  try {
    const only = { backupId: made.body.data.jobId, type: "database", tables: ["public.words"] };
    const failed = await post(service, "restore&wait=60", only);
    assert.equal(failed.status, 500, "the row of the other table refers to one that goes");
    assert.match(failed.body.error.message, /foreign key/);
    const [row] = await session.query(`
      select (select string_agg(t::text, '') from public.restore_jobs t)
          || (select string_agg(t::text, '') from public.backup_audit_log t) as kept`);
    assert.match(String(row?.kept), /foreign key/);
    const everything = JSON.stringify(failed.body) + String(row?.kept) + logged.join("\n");
    assert.equal(everything.includes("hunter9"), false, everything);
  } finally {
    console.error = error;
    await session.execute("drop table public.uses, public.words");
  }
});

Deno.test("the service stops cleanly", shared, async () => {
  const { service, stop } = await start();
  await stop();
  await assert.rejects(fetch(service.url));
});
