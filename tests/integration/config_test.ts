import assert from "node:assert/strict";
import { configSource } from "../../supabase/functions/backup/project/mod.ts";
import { CONTRACT_REF, startManagementContract } from "../support/management_contract.ts";
import { fill, source, step, target } from "../support/sample_config.ts";
import { applyAll, planAll, saveAll } from "../support/saved_items.ts";

const never = new AbortController().signal;

Deno.test("secrets in the clear are not kept, and secrets of which digests are told are not written", async () => {
  await using contract = startManagementContract();
  fill(contract);
  contract.resources.config.auth.smtp_pass = "not a digest but the password itself";
  const saved = await saveAll(source(contract));
  assert.ok(!saved.all().includes("that nobody must keep"));
  assert.ok(!saved.all().includes("the password itself"));
  const postgrest = JSON.parse(saved.text("data-api", "section.json"));
  assert.deepEqual(postgrest.leftOut, ["jwt_secret"]);
  const auth = JSON.parse(saved.text("auth", "section.json"));
  assert.deepEqual(auth.digests, {
    external_google_secret: "a".repeat(64),
    hook_send_email_secrets: "b".repeat(64),
    smtp_pass: "set",
  });
});

Deno.test("a section without permission, with a failure or with nonsense is told of, and the rest is saved", async () => {
  await using contract = startManagementContract();
  fill(contract);
  contract.permissions = new Set([
    "project_admin_read",
    "auth_config_read",
    "realtime_config_read",
    "storage_config_read",
    "edge_functions_secrets_read",
    "database_ssl_config_read",
  ]);
  contract.fail("v1-get-ssl-enforcement-config", { status: 402 });
  contract.fail("v1-get-realtime-config", { text: "<html>", type: "text/html" });
  contract.fail("v1-get-storage-config", { status: 500 }, { times: 10 });
  const saved = await saveAll(source(contract));
  const codes = Object.fromEntries(
    saved.items.map(({ key, failure }) => [key, failure?.code ?? "saved"]),
  );
  assert.equal(codes.auth, "saved");
  assert.equal(codes["saml-providers"], "saved");
  assert.equal(codes.environment, "saved");
  assert.equal(codes["database-ssl"], "saved", "what the plan does not include is no failure");
  assert.equal(codes.realtime, "management_malformed");
  assert.equal(codes.storage, "management_unavailable");
  assert.equal(codes["data-api"], "management_forbidden");
  assert.match(
    saved.items.find(({ key }) => key === "data-api")?.failure?.message ?? "",
    /the token is not allowed this/,
  );
});

Deno.test("without a token, and with one that is expired, the environment is saved and the rest is told of", async () => {
  await using contract = startManagementContract();
  const environment = { variable: () => undefined, declared: [] };
  const options = { projectRef: CONTRACT_REF, connect: null, environment, settingsTables: [] };
  const without = configSource({ ...options, api: null });
  const facts = await without.describe(never);
  assert.deepEqual(facts.missing, []);
  assert.match(facts.skipped[0]?.reason ?? "", /no token for the Management API is set/);
  assert.deepEqual((await saveAll(without)).items.map(({ key }) => key), ["environment"]);

  contract.fail("v1-get-project", { status: 401 });
  const expired = configSource({ ...options, api: contract.api() });
  const { missing } = await expired.describe(never);
  assert.equal(missing[0]?.failure.code, "management_unauthorized");
  assert.deepEqual((await saveAll(expired)).items.map(({ key }) => key), ["environment"]);

  contract.fail("v1-list-all-secrets", { status: 403 });
  const unnamed = await configSource({ ...options, api: contract.api() }).describe(never);
  assert.deepEqual(unnamed.missing.map(({ what }) => what), [
    "names of the environment's variables",
  ]);

  contract.fail("v1-get-project", { status: 404 });
  const unknown = await configSource({ ...options, api: contract.api() }).describe(never);
  assert.equal(unknown.missing[0]?.failure.code, "management_not_found");
});

Deno.test("of the environment names are saved, and values only where they are certainly no secrets", async () => {
  await using contract = startManagementContract();
  const { secrets } = contract.resources.secrets;
  const variables: Record<string, string> = {
    BACKUP_STORAGE_BUCKET: "my-backups",
    BACKUP_ENCRYPTION_KEY: "an encryption key",
    FEATURE_MODE: "blue",
    STRIPE_SECRET_KEY: "sk_live_1",
    GREETING: "an undeclared value",
  };
  for (const [name, value] of Object.entries(variables)) secrets.set(name, value);
  const saved = await saveAll(source(contract, variables));
  const { variables: kept } = JSON.parse(saved.text("environment", "section.json"));
  assert.deepEqual(kept, [
    { name: "BACKUP_ENCRYPTION_KEY", value: null },
    { name: "BACKUP_STORAGE_BUCKET", value: "my-backups" },
    { name: "FEATURE_MODE", value: "blue" },
    { name: "GREETING", value: null },
    { name: "STRIPE_SECRET_KEY", value: null },
  ]);

  secrets.delete("GREETING");
  secrets.set("FEATURE_MODE", "green");
  const into = target(contract, saved);
  const steps = await planAll(into, saved);
  assert.deepEqual(step(steps, "environment", "replace").difference, {
    add: [],
    change: ["FEATURE_MODE"],
  });
  assert.match(step(steps, "environment", "by-hand").title, /GREETING$/);
  const [result] = await applyAll(into, { backup: saved, steps });
  assert.equal(result?.outcome, "done");
  assert.equal(secrets.get("FEATURE_MODE"), "blue");
  const { action } = (await planAll(into, { ...saved, items: saved.items }))
    .filter(({ key }) => key === "environment").at(-1)!;
  assert.equal(action, "by-hand");
});

Deno.test("a field that this release does not know is kept by name or value, and left to the person", async () => {
  await using contract = startManagementContract();
  fill(contract);
  const plain = contract.api();
  const api = {
    ...plain,
    async get<T>(path: string, call: Parameters<typeof plain.get<T>>[1]): Promise<T> {
      const answer = await plain.get(path, call);
      if (!path.endsWith("/config/realtime")) return answer;
      return { ...answer, new_limit: 5, new_secret: "plain" };
    },
  };
  const saved = await saveAll(configSource({
    projectRef: CONTRACT_REF,
    api,
    connect: null,
    environment: { variable: () => undefined, declared: [] },
    settingsTables: [],
  }));
  const realtime = JSON.parse(saved.text("realtime", "section.json"));
  assert.deepEqual(realtime.unknown, { new_limit: 5 });
  assert.deepEqual(realtime.leftOut, ["new_secret"]);
  const steps = await planAll(target(contract, saved), saved);
  assert.match(step(steps, "realtime", "by-hand").title, /new_limit/);
});
