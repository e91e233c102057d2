import assert from "node:assert/strict";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import type { ItemStep } from "../../supabase/functions/backup/core/items.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  openVaultSeal,
  secretsSource,
  type SecretsSourceOptions,
  secretsTarget,
  type SecretsTargetOptions,
} from "../../supabase/functions/backup/project/mod.ts";
import {
  CONTRACT_REF,
  type ManagementContract,
  startManagementContract,
} from "../support/management_contract.ts";
import { startNetStandIn } from "../support/net_stand_in.ts";
import { applyAll, type MemoryBackup, planAll, saveAll } from "../support/saved_items.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const OTHER_REF = "zyxwvutsrqponmlkjihg";
const never = new AbortController().signal;

function source(contract: ManagementContract, options: Partial<SecretsSourceOptions> = {}) {
  return secretsSource({
    projectRef: CONTRACT_REF,
    api: contract.api(),
    connect: null,
    variable: () => undefined,
    references: { encryptionKey: "env:BACKUP_ENCRYPTION_KEY" },
    vaultSeal: null,
    ...options,
  });
}

function target(
  backup: MemoryBackup,
  options: Partial<SecretsTargetOptions>,
) {
  return secretsTarget({
    api: null,
    connect: null,
    vaultSeal: null,
    open: backup.open,
    ...options,
  });
}

function states(steps: readonly ItemStep[]): Record<string, unknown> {
  return Object.fromEntries(
    steps.map(({ key, action, difference }) => [key, [action, difference ?? null]]),
  );
}

async function newSeal() {
  const key = new Secret(toBase64(crypto.getRandomValues(new Uint8Array(32))));
  return await openVaultSeal(key, { repositoryKey: null });
}

const VAULT = `
  select vault.create_secret('value of stripe', 'stripe', 'for payments');
  select vault.create_secret('value of nobody', null, 'without a name');
  select vault.create_secret('value of a/b', 'a/b');`;

async function vaultDatabase(sql = VAULT) {
  const temporary = await temporaryDatabase("m2_vault");
  const net = await startNetStandIn(temporary.url, { cron: false });
  const execute = async (statements: string) => {
    const session = await connect({ url: temporary.url });
    try {
      await session.execute(statements);
    } finally {
      await session.close();
    }
  };
  await execute(sql);
  return {
    url: temporary.url,
    execute,
    connect: () => connect({ url: temporary.url }),
    async values(): Promise<string[]> {
      const session = await connect({ url: temporary.url });
      try {
        const rows = await session.query(
          `select coalesce(name, '-') || '=' || decrypted_secret as line
            from vault.decrypted_secrets order by 1`,
        );
        return rows.map(({ line }) => line);
      } finally {
        await session.close();
      }
    },
    async [Symbol.asyncDispose]() {
      await net[Symbol.asyncDispose]();
      await temporary[Symbol.asyncDispose]();
    },
  };
}

Deno.test("secrets are saved as names, digests, times and references, never as values", async () => {
  await using contract = startManagementContract();
  const { secrets, keys } = contract.resources.secrets;
  secrets.set("BACKUP_ENCRYPTION_KEY", "value of the encryption key");
  secrets.set("STRIPE_KEY", "value of the stripe key");
  const saved = await saveAll(source(contract, {
    variable: (name) => secrets.get(name),
  }));
  assert.deepEqual(saved.items.map(({ key }) => key), [
    "api-key/legacy/anon",
    "api-key/legacy/service_role",
    "api-key/publishable/default",
    "api-key/secret/default",
    "function/BACKUP_ENCRYPTION_KEY",
    "function/STRIPE_KEY",
    "legacy-keys",
  ]);
  const facts = saved.items.find(({ key }) => key === "function/BACKUP_ENCRYPTION_KEY")?.facts;
  assert.equal(facts?.reference, "env:BACKUP_ENCRYPTION_KEY");
  assert.deepEqual(facts?.usedBy, ["encryptionKey"]);
  assert.equal(facts?.digestForm, "sha256");
  assert.match(String(facts?.digest), /^[0-9a-f]{64}$/);
  assert.match(String(facts?.updatedAt), /^2026-01-01T/);
  const all = saved.all();
  for (const value of [...secrets.values(), ...keys.map((key) => key.value), "the whole token"]) {
    assert.ok(!all.includes(value), "a value was kept");
  }
  assert.deepEqual(saved.contents.size, 0);
});

Deno.test("a plan says which secrets exist, which are otherwise and which are missing", async () => {
  await using contract = startManagementContract();
  const { secrets } = contract.resources.secrets;
  for (const name of ["SAME", "CHANGED", "LOST"]) secrets.set(name, `value of ${name}`);
  const saved = await saveAll(source(contract));
  secrets.set("CHANGED", "another");
  secrets.delete("LOST");
  contract.resources.secrets.legacy = false;
  contract.resources.secrets.keys.pop();
  contract.seen.length = 0;

  const steps = await planAll(target(saved, { api: contract.api() }), saved);

  assert.deepEqual(states(steps), {
    "api-key/legacy/anon": ["by-hand", "missing"],
    "api-key/legacy/service_role": ["by-hand", "missing"],
    "api-key/publishable/default": ["keep", "same"],
    "api-key/secret/default": ["by-hand", "missing"],
    "function/CHANGED": ["by-hand", "differs"],
    "function/LOST": ["by-hand", "missing"],
    "function/SAME": ["keep", "same"],
    "legacy-keys": ["by-hand", { from: false, to: true }],
  });
  assert.match(
    steps.find(({ key }) => key === "function/LOST")?.title ?? "",
    /^LOST is missing: supabase secrets set LOST=…$/,
  );
  assert.ok(!JSON.stringify(steps).includes("value of"));
  assert.deepEqual(contract.seen.filter((request) => !request.startsWith("GET")), []);
});

Deno.test("digests of another project are compared only where they are made of the value alone", async () => {
  for (const digests of ["sha256", "hmac-sha256-ref"] as const) {
    await using old = startManagementContract();
    await using fresh = startManagementContract({ projectRef: OTHER_REF });
    for (const { resources } of [old, fresh]) {
      resources.secrets.digests = digests;
      resources.secrets.secrets.set("SAME", "value");
      resources.secrets.secrets.set("OTHER", resources === old.resources ? "one" : "two");
    }
    const variable = (name: string) => old.resources.secrets.secrets.get(name);
    const saved = await saveAll(source(old, { variable }));
    const plan = await planAll(target(saved, { api: fresh.api() }), saved);
    const found = states(plan);
    const expected = digests === "sha256"
      ? [["keep", "same"], ["by-hand", "differs"]]
      : [["keep", "exists"], ["keep", "exists"]];
    assert.deepEqual([found["function/SAME"], found["function/OTHER"]], expected, digests);
    const unknown = await saveAll(source(old));
    const careful = states(await planAll(target(unknown, { api: fresh.api() }), unknown));
    assert.deepEqual(careful["function/OTHER"], ["keep", "exists"], "the form is not known");
  }
});

Deno.test("a plan goes on without the parts that the target's token may not see", async () => {
  await using contract = startManagementContract();
  contract.resources.secrets.secrets.set("ONE", "value");
  const saved = await saveAll(source(contract));
  contract.permissions = new Set(["edge_functions_secrets_read"]);
  const steps = await planAll(target(saved, { api: contract.api() }), saved);
  const titles = Object.fromEntries(steps.map(({ key, title }) => [key, title]));
  assert.equal(titles["function/ONE"], "ONE has the saved value");
  for (const key of ["api-key/secret/default", "legacy-keys"]) {
    assert.match(titles[key] ?? "", /cannot be compared: .*the token is not allowed this/, key);
  }
});

Deno.test("an API without the switch of legacy keys makes no backup and no plan incomplete", async () => {
  await using contract = startManagementContract();
  const before = await saveAll(source(contract));
  contract.resources.secrets.hasLegacySwitch = false;
  const now = source(contract);
  assert.deepEqual((await now.describe(never)).missing, []);
  assert.ok((await saveAll(now)).items.every(({ key }) => key !== "legacy-keys"));
  const steps = await planAll(target(before, { api: contract.api() }), before);
  assert.equal(steps.find(({ key }) => key === "legacy-keys")?.action, "keep");
});

Deno.test("parts that the token may not see are told of, and the others are saved", async () => {
  await using contract = startManagementContract();
  contract.resources.secrets.secrets.set("ONE", "value");
  contract.permissions = new Set(["edge_functions_secrets_read"]);
  const limited = source(contract);
  const { missing, skipped } = await limited.describe(never);
  assert.deepEqual(missing.map(({ what, failure }) => [what, failure.code]), [
    ["API keys", "management_forbidden"],
    ["whether legacy keys are accepted", "management_forbidden"],
  ]);
  assert.deepEqual(skipped.map(({ what }) => what), ["the Vault"]);
  assert.deepEqual((await saveAll(limited)).items.map(({ key }) => key), ["function/ONE"]);

  contract.permissions = null;
  contract.fail("v1-get-project", { status: 401 });
  const expired = await source(contract).describe(never);
  assert.equal(expired.missing[0]?.failure.code, "management_unauthorized");
  const none = await source(contract, { api: null, withoutApi: "no token" }).describe(never);
  assert.deepEqual(none.missing, []);
  assert.equal(none.skipped[0]?.reason, "no token");
});

Deno.test("of the Vault only names are saved unless a key of its own is set", async () => {
  await using contract = startManagementContract();
  await using database = await vaultDatabase();
  const plain = source(contract, { api: null, connect: database.connect });
  const { skipped } = await plain.describe(never);
  assert.deepEqual(skipped.map(({ what }) => what), [
    "secrets of functions, API keys",
    "contents of the Vault",
  ]);
  const saved = await saveAll(plain);
  const keys = saved.items.map(({ key }) => key);
  assert.equal(keys.length, 3);
  assert.ok(keys.includes("vault/a/b") && keys.includes("vault/stripe"));
  assert.ok(!saved.all().includes("value of"));
  const stripe = saved.items.find(({ key }) => key === "vault/stripe")?.facts;
  assert.equal(stripe?.reference, "vault://stripe");
  assert.equal(stripe?.description, "for payments");

  await database.execute("delete from vault.secrets where name = 'stripe'");
  const steps = await planAll(target(saved, { connect: database.connect }), saved);
  const byHand = steps.filter(({ action }) => action === "by-hand");
  assert.deepEqual(byHand.map(({ key }) => key), ["vault/stripe"]);
  assert.match(byHand[0]?.title ?? "", /its content is not in the backup/);
});

Deno.test("contents of the Vault are sealed, and come back into another database with their key alone", async () => {
  await using contract = startManagementContract();
  await using database = await vaultDatabase();
  const vaultSeal = await newSeal();
  const saved = await saveAll(
    source(contract, { api: null, connect: database.connect, vaultSeal }),
  );
  assert.equal(saved.contents.size, 3);
  assert.ok(!saved.all().includes("value of"));
  await using other = await vaultDatabase("select vault.create_secret('changed', 'stripe')");

  const locked = target(saved, { connect: other.connect, vaultSeal: await newSeal() });
  await assert.rejects(planAll(locked, saved), /another key sealed it/);
  const without = await planAll(target(saved, { connect: other.connect }), saved);
  assert.match(without.find(({ key }) => key === "vault/a/b")?.title ?? "", /set BACKUP_VAULT_KEY/);

  const into = target(saved, { connect: other.connect, vaultSeal });
  const steps = await planAll(into, saved);
  const actions = steps.map(({ key, action }) => key.length > 30 ? action : `${action} ${key}`);
  assert.deepEqual(actions.sort(), ["create", "create vault/a/b", "replace vault/stripe"]);
  assert.match(
    steps.find(({ key }) => key === "vault/stripe")?.hazards?.[0] ?? "",
    /present value is lost/,
  );
  const results = await applyAll(into, { backup: saved, steps });
  assert.deepEqual(results.map(({ outcome }) => outcome), ["done", "done", "done"]);
  const again = await applyAll(into, { backup: saved, steps });
  assert.deepEqual(again.map(({ outcome }) => outcome), ["kept", "kept", "kept"]);
  assert.deepEqual(await other.values(), [
    "-=value of nobody",
    "a/b=value of a/b",
    "stripe=value of stripe",
  ]);
  assert.ok((await planAll(into, saved)).every(({ action }) => action === "keep"));
  assert.ok(!JSON.stringify([steps, results]).includes("value of"));
});

Deno.test("a secret of the Vault that did not change keeps its revision, one that is deleted meanwhile is gone", async () => {
  await using contract = startManagementContract();
  await using database = await vaultDatabase();
  const vaultSeal = await newSeal();
  const options = { api: null, connect: database.connect, vaultSeal };
  const first = await source(contract, options).page(null, never);
  await database.execute(
    "select vault.update_secret(id, 'new') from vault.secrets where name = 'stripe'",
  );
  const second = await source(contract, options).page(null, never);
  const changed = first.items.filter(({ revision }, at) => revision !== second.items[at]?.revision);
  assert.deepEqual(changed.map(({ key }) => key), ["vault/stripe"]);
  await database.execute("delete from vault.secrets where name = 'stripe'");
  assert.equal(await source(contract, options).read(changed[0]!, never), null);
});

Deno.test("a Vault of more secrets than a page is listed whole, in one order", async () => {
  await using contract = startManagementContract();
  contract.resources.secrets.secrets.set("ONE", "value");
  await using database = await vaultDatabase(
    "select vault.create_secret('x', 'secret ' || n) from generate_series(1, 1203) n",
  );
  const saved = await saveAll(source(contract, { connect: database.connect }));
  const vault = saved.items.filter(({ key }) => key.startsWith("vault/")).map(({ key }) => key);
  assert.equal(vault.length, 1203);
  assert.deepEqual(vault, [...vault].sort());
  assert.equal(saved.items.filter(({ key }) => key.startsWith("function/")).length, 1);
});

Deno.test("a Vault that the role may not read is told of, and nothing else suffers", async () => {
  await using contract = startManagementContract();
  contract.resources.secrets.secrets.set("ONE", "value");
  await using database = await vaultDatabase();
  const role = `m2_reader_${crypto.randomUUID().slice(0, 8)}`;
  await database.execute(`create role ${role} login; revoke all on vault.secrets from public`);
  try {
    const url = new URL(database.url);
    url.username = role;
    const limited = source(contract, { connect: () => connect({ url: url.href }) });
    const { missing } = await limited.describe(never);
    assert.deepEqual(missing.map(({ what, failure }) => [what, failure.code]), [
      ["the Vault", "insufficient_privilege"],
    ]);
    const keys = (await saveAll(limited)).items.map(({ key }) => key);
    assert.ok(keys.includes("function/ONE"));
    assert.ok(!keys.some((key) => key.startsWith("vault/")));
  } finally {
    await database.execute(`drop role ${role}`);
  }
});
