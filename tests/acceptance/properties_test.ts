/**
 * Whatever is asked, of every action: never a defect, never a trace of the inside, always the envelope, and
 * what is refused changes nothing. Requests are made from the OpenAPI document. PROPERTY_SEED=<number> makes
 * others; the seed is printed with a failure. Longer than usual: all of it shares one service and one way to compare.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ROOT } from "../../scripts/embedded_postgres.ts";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { createApp } from "../../supabase/functions/backup/http/create_app.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  actionsOfDocument,
  type DescribedAction,
  valueOf,
  wrongFieldsOf,
} from "../support/request_arbitrary.ts";
import { KEYS } from "../support/service.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const SEED = Number(Deno.env.get("PROPERTY_SEED") ?? 20_261_121);
/** Requests for each action and property. */
const RUNS = Number(Deno.env.get("PROPERTY_RUNS") ?? 8);

// One service for the file: the last test stops it.
const shared = { sanitizeOps: false, sanitizeResources: false };

/** An answer, and what was asked. */
interface Answered {
  status: number;
  text: string;
  // deno-lint-ignore no-explicit-any -- tests look at answers field by field
  body: any;
}

/** A service over an empty project with one backup, asked without a network. */
async function open() {
  const database = await temporaryDatabase("properties");
  const session = await connect({ url: database.url });
  await session.execute("create table public.notes as select 1 as id");
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-properties-" });
  const variables: Record<string, string> = {
    SUPABASE_DB_URL: database.url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret }),
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: KEYS.publishable }),
    SUPABASE_ANON_KEY: KEYS.anon,
    SUPABASE_SERVICE_ROLE_KEY: KEYS.serviceRole,
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: folder,
    BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))),
  };
  const deps = createDeps({ environment: readEnvironment((name) => variables[name]) });
  const app = createApp(deps);

  async function send(query: string, init: RequestInit = {}, key: string | null = KEYS.secret) {
    const headers = new Headers(init.headers);
    if (key !== null) headers.set("apikey", key);
    const url = `http://127.0.0.1/functions/v1/backup?${query}`;
    const response = await app.fetch(new Request(url, { ...init, headers }));
    const text = await response.text();
    const asked = `${init.method ?? "GET"} ${query} ${String(init.body).slice(0, 300)}`;
    const words = `${asked}\n${response.status} ${text}`;
    assert.match(response.headers.get("x-request-id") ?? "", /^req_/, words);
    assert.match(response.headers.get("content-type") ?? "", /^application\/json/, words);
    const answer: Answered = { status: response.status, text, body: JSON.parse(text) };
    assert.ok(answer.status < 500, words);
    assert.equal(answer.body.success, answer.status < 400, words);
    if (answer.status >= 400) {
      assert.ok(answer.body.error.code && answer.body.error.message, words);
      const inside = [folder, ROOT, "file://", "node_modules", "backup_internal", "pg_catalog"];
      for (const word of inside) assert.ok(!text.includes(word), `${word} in: ${words}`);
      assert.doesNotMatch(text, /\.ts:\d|\bat async\b|postgres(ql)?:\/\//, words);
    }
    return answer;
  }

  /** Everything of ours, and all databases of the server with our prefix. */
  async function digest(): Promise<string> {
    const tables = await session.query(`
      select format('%I.%I', n.nspname, c.relname) as name from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname in ('public', 'backup_internal') order by 1`);
    const rows = await session.query(
      tables.map(({ name }) =>
        `select '${name}' as name, md5(coalesce(string_agg(t::text, '|' order by t::text), '')) as sum
         from ${name} t`
      ).join(" union all "),
    );
    const stored = await Array.fromAsync(listing(folder));
    return [...rows.map(({ name, sum }) => `${name} ${sum}`), ...stored.toSorted()].join("\n");
  }

  await send("action=init", { method: "POST" });
  const backup = await send("action=backup-database", { method: "POST" });
  await deps.idle();
  const document = (await send("action=openapi")).body.data;
  return {
    deps,
    session,
    send,
    digest,
    backupId: backup.body.data.jobId as string,
    actions: actionsOfDocument(document),
    async stop() {
      await deps.idle();
      await deps.state.close();
      await session.close();
      await database[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

let opening: ReturnType<typeof open> | undefined;
const start = () => opening ??= open();
type Place = Awaited<ReturnType<typeof open>>;

async function* listing(folder: string): AsyncIterable<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* listing(path);
    else yield `${path} ${(await Deno.stat(path)).size}`;
  }
}

/** As an action takes its fields. */
function sendFields(place: Place, { name, method }: DescribedAction, fields: unknown) {
  if (method === "POST") {
    return place.send(`action=${name}`, { method, body: JSON.stringify(fields) });
  }
  const query = new URLSearchParams({ action: name });
  for (const [field, value] of Object.entries(fields as object)) query.append(field, String(value));
  return place.send(String(query));
}

/** Refused, and nothing has become of it. */
async function refused(place: Place, before: string, answer: Answered, statuses: number[]) {
  assert.ok(statuses.includes(answer.status), `${answer.status} ${answer.text}`);
  await place.deps.idle();
  assert.equal(await place.digest(), before);
}

/** What has no fields is asked once. */
const runs = ({ input }: DescribedAction) => ({
  ...{ seed: SEED, endOnFailure: true },
  numRuns: Object.keys(input.properties ?? {}).length === 0 ? 1 : RUNS,
});

Deno.test(
  "what is wrong in one field is refused with 400 and changes nothing",
  shared,
  async () => {
    const place = await start();
    for (const action of place.actions) {
      const before = await place.digest();
      const fields = wrongFieldsOf(action.input, { inQuery: action.method === "GET" });
      await fc.assert(
        fc.asyncProperty(fields, async (fields) => {
          const { status, text } = await sendFields(place, action, fields);
          assert.equal(status, 400, text);
        }),
        runs(action),
      );
      await place.deps.idle();
      assert.equal(await place.digest(), before, action.name);
    }
  },
);

Deno.test(
  "odd values in good fields are never a defect, and change nothing when refused",
  shared,
  async () => {
    const place = await start();
    for (const action of place.actions) {
      if (action.name === "uninstall") continue; // its one good request is the end of all
      const fields = valueOf(action.input) as fc.Arbitrary<Record<string, unknown>>;
      let before = await place.digest();
      await fc.assert(
        fc.asyncProperty(fields, async (fields) => {
          const answer = await sendFields(place, action, aimed(action, fields));
          if (answer.status >= 400) return await refused(place, before, answer, [400, 404, 409]);
          await place.deps.idle();
          const isChange = action.name === "init" || action.name === "update-config";
          if (isChange) await change(place, { rollbackTo: 0 });
          before = await place.digest();
        }),
        runs(action),
      );
    }
  },
);

Deno.test(
  "init with another key's fingerprint is refused before it changes settings",
  shared,
  async () => {
    const place = await start();
    const before = await place.digest();
    const answer = await post(place, "init", {
      ...{ config: { maxWorkers: 2 }, confirmKeyFingerprint: "0123456789abcdef" },
    });
    await refused(place, before, answer, [400]);
    assert.equal(answer.body.error.code, "key_wrong");
  },
);

Deno.test("half a character is refused by its path, whatever field it is in", shared, async () => {
  const place = await start();
  const before = await place.digest();
  for (const { name, method } of place.actions) {
    if (method === "GET") continue;
    const answer = await place.send(`action=${name}`, {
      method,
      body: '{"a": {"b": ["\\ud800"]}}',
    });
    await refused(place, before, answer, [400]);
    assert.equal(answer.body.error.details.issues[0].path, "a.b.0");
  }
  const reason = await place.send("action=create", {
    ...{ method: "POST", body: '{"type": "manual", "reason": "\\ud800"}' },
  });
  await refused(place, before, reason, [400]);
});

/** Odd names reach further with a backup that is there; nothing is put over the project. */
function aimed({ name }: DescribedAction, fields: Record<string, unknown>) {
  // Without an id it would restore the newest backup each time.
  if (name === "test-restore") return { backupId: "none", ...fields };
  if (name !== "restore") return fields;
  const { items: _, onExisting: __, cronJobs: ___, targetDatabaseUrl: ____, ...database } = fields;
  return { ...database, backupId: "latest", type: "database", dryRun: true };
}

function post(place: Place, action: string, body: unknown): Promise<Answered> {
  return place.send(`action=${action}`, { method: "POST", body: JSON.stringify(body) });
}

const change = (place: Place, body: unknown) => post(place, "update-config", body);

const token = (claims: unknown, signature: string) =>
  [{ alg: "HS256", typ: "JWT" }, claims].map((part) => btoa(JSON.stringify(part))).join(".") +
  `.${signature}`;

Deno.test(
  "no action is open to strangers, whatever token they show, and none changes by it",
  shared,
  async () => {
    const place = await start();
    const before = await place.digest();
    const strangers: [string | null, number][] = [
      [null, 401],
      [KEYS.anon, 403],
      [KEYS.publishable, 403],
      ["sb_secret_of_another_project_0123456789", 401],
      [token({ role: "service_role", exp: 1 }, "expired"), 401],
      [token({ role: "service_role", exp: 9_999_999_999 }, "forged"), 401],
      [token({ role: "service_role", ref: "anotherproject", exp: 9_999_999_999 }, "x"), 401],
      [token({ role: "authenticated", sub: "1" }, "x"), 401],
      [`${KEYS.serviceRole}x`, 401],
    ];
    for (const { name, method } of place.actions) {
      for (const [key, status] of strangers) {
        const answer = await place.send(`action=${name}`, { method }, key);
        assert.equal(answer.status, status, `${name} ${answer.text}`);
        assert.equal(answer.body.error.details, undefined, name);
      }
    }
    assert.equal(await place.digest(), before);
  },
);

Deno.test(
  "bodies, methods and queries that are wrong are refused by every action alike",
  shared,
  async () => {
    const place = await start();
    const before = await place.digest();
    const bodies: [BodyInit, number, string?][] = [
      ["x".repeat(10_000_000), 413],
      ["{", 400],
      ["null", 400],
      ["[]", 400],
      ['"init"', 400],
      ["[".repeat(100_000), 400],
      [`{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`, 400],
      [new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]), 400],
      ["action=init", 400, "application/x-www-form-urlencoded"],
      ["<a/>", 400, "text/xml"],
      ["--x\r\n\r\n--x--", 400, "multipart/form-data; boundary=x"],
    ];
    for (const { name, method } of place.actions) {
      for (const other of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        if (other === method) continue;
        const answer = await place.send(`action=${name}`, { method: other });
        assert.equal(answer.status, 405, `${other} ${name}`);
      }
      const twice = await place.send(`action=${name}&action=status`, { method });
      assert.equal(twice.status, 400, name);
      for (const query of ["surprise=1", "__proto__=1", "surprise=1&surprise=2", "wait=-1"]) {
        assert.equal((await place.send(`action=${name}&${query}`, { method })).status, 400, name);
      }
      if (method === "GET") continue;
      for (const [body, status, type = "application/json"] of bodies) {
        const headers = { "content-type": type };
        const answer = await place.send(`action=${name}`, { method, body, headers });
        assert.equal(answer.status, status, `${name} ${answer.text}`);
      }
    }
    await place.deps.idle();
    assert.equal(await place.digest(), before);
  },
);

Deno.test(
  "of ten callers who change one setting at once, one wins by its version, and history is whole",
  shared,
  async () => {
    const place = await start();
    await change(place, { rollbackTo: 0 });
    const { version } = (await change(place, { updates: {}, dryRun: true })).body.data;
    const wanted = Array.from({ length: 10 }, (_, at) => at + 30);
    const versioned = await Promise.all(
      wanted.map((days) =>
        change(place, { updates: { databaseBackupRetention: days }, expectedVersion: version })
      ),
    );
    const statuses = versioned.map(({ status }) => status);
    assert.deepEqual(statuses.toSorted(), [200, ...Array(9).fill(409)]);
    const won = (await place.send("action=status")).body.data;
    assert.equal(won.settings.databaseBackupRetention, wanted[statuses.indexOf(200)]);
    assert.equal(won.settingsVersions[0].version, version + 1);
    const plain = await Promise.all(
      wanted.map((days) => change(place, { updates: { databaseBackupRetention: days + 100 } })),
    );
    assert.deepEqual([...new Set(plain.map(({ status }) => status))], [200]);
    const { settings, settingsVersions } = (await place.send("action=status")).body.data;
    assert.ok(wanted.includes(settings.databaseBackupRetention - 100));
    const numbers = settingsVersions.map((one: { version: number }) => one.version);
    const newest = Math.max(...plain.map(({ body }) => body.data.version));
    assert.equal(numbers[0], newest);
    assert.deepEqual(
      numbers,
      numbers.map((_: number, at: number) => newest - at),
      "none is missing",
    );
    await change(place, { rollbackTo: 0 });
  },
);

const step = (id: string, dependencies: string[] = []) => ({
  ...{ id, name: id, description: "", type: "notification", order: 1, timeout: 1, retryCount: 0 },
  ...{ dependencies, parameters: { message: id } },
});

const planOf = (id: string, steps: unknown[], name = "A plan") => ({
  ...{ id, name, description: "", priority: "low", triggers: [`${id}_trigger`], steps },
  ...{ estimatedRecoveryTime: 5, enabled: true },
});

Deno.test(
  "of ten callers who write one plan at once each is told, and the plan is one of theirs",
  shared,
  async () => {
    const place = await start();
    const names = Array.from({ length: 10 }, (_, at) => `Plan of caller ${at}`);
    const added = await Promise.all(
      names.map((name) => post(place, "add-plan", { plan: planOf("shared", [step("a")], name) })),
    );
    assert.deepEqual(added.map(({ status }) => status).toSorted(), [200, ...Array(9).fill(409)]);
    const replaced = await Promise.all(
      names.map((name) =>
        post(place, "add-plan", { plan: planOf("shared", [step("b")], name), replace: true })
      ),
    );
    const good = replaced.filter(({ status }) => status === 200);
    assert.ok(replaced.every(({ status }) => [200, 409].includes(status)));
    assert.ok(good.length > 0);
    const [plan] = (await place.send("action=plans&planId=shared")).body.data.plans;
    assert.ok(names.includes(plan.name));
    assert.equal(plan.version, 1 + good.length, "each change is one version");
    const removed = await Promise.all(
      names.map(() => post(place, "remove-plan", { planId: "shared" })),
    );
    assert.equal(removed.filter(({ status }) => status === 200).length, 1);
    assert.ok(removed.every(({ status }) => [200, 404, 409].includes(status)));
  },
);

for (
  const [name, plan, path] of [
    ["a cycle", planOf("bad", [step("a", ["b"]), step("b", ["a"])]), "plan.steps.0.dependencies"],
    ["a step there twice", planOf("bad", [step("a"), step("a")]), "plan.steps.1.id"],
    [
      "a step that waits for none",
      planOf("bad", [step("a", ["z"])]),
      "plan.steps.0.dependencies.0",
    ],
    ["no steps", planOf("bad", []), "plan.steps"],
  ] as const
) {
  Deno.test(`a plan with ${name} is refused and the path is named`, shared, async () => {
    const place = await start();
    const before = await place.digest();
    const answer = await post(place, "add-plan", { plan });
    await refused(place, before, answer, [400]);
    assert.deepEqual(answer.body.error.details.issues.map((one: { path: string }) => one.path), [
      path,
    ]);
  });
}

Deno.test("a default plan is neither replaced nor removed", shared, async () => {
  const place = await start();
  const before = await place.digest();
  for (const replace of [false, true]) {
    const plan = planOf("database_failure", [step("a")]);
    await refused(place, before, await post(place, "add-plan", { plan, replace }), [409]);
  }
  const removed = await post(place, "remove-plan", { planId: "database_failure" });
  await refused(place, before, removed, [409]);
});

Deno.test("a change that is taken shows in what these tests compare", shared, async () => {
  const place = await start();
  const before = await place.digest();
  assert.equal((await change(place, { updates: { maxWorkers: 3 } })).status, 200);
  assert.notEqual(await place.digest(), before);
});

Deno.test("the service of the properties stops cleanly", shared, async () => {
  await (await start()).stop();
});
