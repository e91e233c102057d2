import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { ItemStep } from "../../supabase/functions/backup/core/items.ts";
import { configSource, configTarget } from "../../supabase/functions/backup/project/mod.ts";
import {
  CONTRACT_REF,
  type ManagementContract,
  startManagementContract,
} from "../support/management_contract.ts";
import { applyAll, type MemoryBackup, planAll, saveAll } from "../support/saved_items.ts";

const OTHER_REF = "zyxwvutsrqponmlkjihg";
const never = new AbortController().signal;

function source(contract: ManagementContract, variables: Record<string, string> = {}) {
  return configSource({
    projectRef: CONTRACT_REF,
    api: contract.api(),
    connect: null,
    environment: { variable: (name) => variables[name], declared: ["FEATURE_MODE"] },
    settingsTables: [],
  });
}

function target(contract: ManagementContract, backup: MemoryBackup, projectRef = CONTRACT_REF) {
  return configTarget({ api: contract.api({ projectRef }), connect: null, open: backup.open });
}

/** A project in which every section is otherwise than new. */
function fill({ resources: { config } }: ManagementContract): void {
  Object.assign(config.auth, {
    site_url: "https://shop.example",
    uri_allow_list: "https://shop.example/*",
    external_google_enabled: true,
    external_google_client_id: "client.apps.example",
    external_google_secret: "a".repeat(64),
    hook_send_email_enabled: true,
    hook_send_email_uri: "https://user:hidden@hooks.example/mail",
    hook_send_email_secrets: "b".repeat(64),
    mailer_templates_invite_content: "<p>come in</p>".repeat(50),
    saml_enabled: true,
    sms_test_otp: "15550000001=123456",
    sessions_timebox: 24,
  });
  Object.assign(config.postgrest, { db_schema: "public,api", max_rows: 500, db_pool: 30 });
  config.postgres = { statement_timeout: "30s", max_connections: 120 };
  Object.assign(config.pooler, { default_pool_size: 25 });
  config.disk = { iops: 4000, size_gb: 64, throughput_mibps: 250, type: "gp3" };
  Object.assign(config.realtime, { max_concurrent_users: 500, private_only: true });
  config.storage.fileSizeLimit = 1 << 20;
  config.storage.features.imageTransformation = { enabled: true };
  config.network = { dbAllowedCidrs: ["203.0.113.0/24"], dbAllowedCidrsV6: [] };
  config.ssl = { database: true };
  config.temporaryAccess = { state: "enabled", appliedSuccessfully: true };
  config.backupSchedule = { schedule_for: "04:00:00" };
  config.customHostname = "api.shop.example";
  config.addons = [{ type: "compute_instance", variant: "ci_small" }];
  config.issuers = [{
    id: crypto.randomUUID(),
    type: "custom",
    oidc_issuer_url: "https://issuer.example",
    inserted_at: "2026-01-01",
    updated_at: "2026-01-01",
  }];
  config.providers = [{
    id: crypto.randomUUID(),
    saml: {
      id: crypto.randomUUID(),
      entity_id: "entity of https://idp.example/metadata",
      metadata_url: "https://idp.example/metadata",
      metadata_xml: "<EntityDescriptor/>",
      attribute_mapping: { keys: { email: { name: "mail" } } },
    },
    domains: [{ id: "1", domain: "shop.example" }],
  }];
}

function step(steps: readonly ItemStep[], key: string, action: string): ItemStep {
  const found = steps.find((each) => each.key === key && each.action === action);
  assert.ok(found, `no step ${action} ${key} in ${steps.map((one) => `${one.action} ${one.key}`)}`);
  return found;
}

Deno.test("a configuration that is saved, changed and restored is saved again as the same bytes", async () => {
  await using contract = startManagementContract();
  fill(contract);
  const saved = await saveAll(source(contract));
  assert.deepEqual(saved.items.filter(({ failure }) => failure), []);
  const { config } = contract.resources;
  Object.assign(config.auth, { site_url: "https://evil.example", sessions_timebox: null });
  Object.assign(config.postgrest, { max_rows: 1, db_schema: "public" });
  config.postgres = { work_mem: "64MB" };
  Object.assign(config.pooler, { default_pool_size: 3 });
  Object.assign(config.realtime, { max_concurrent_users: 1 });
  config.storage.features.imageTransformation = { enabled: false };
  config.network = { dbAllowedCidrs: ["0.0.0.0/0"], dbAllowedCidrsV6: ["::/0"] };
  config.ssl = { database: false };
  config.temporaryAccess = { state: "disabled" };
  config.backupSchedule = { schedule_for: "09:00:00" };
  config.issuers = [];
  config.providers[0]!.saml.attribute_mapping = { keys: {} };

  const into = target(contract, saved);
  const steps = await planAll(into, saved);
  const results = await applyAll(into, { backup: saved, steps });

  assert.deepEqual(results.map(({ outcome }) => outcome), results.map(() => "done"));
  assert.equal(results.length, 12);
  const again = await saveAll(source(contract));
  for (const [name, bytes] of saved.contents) {
    assert.equal(
      new TextDecoder().decode(again.contents.get(name)),
      new TextDecoder().decode(bytes),
      name,
    );
  }
  const rest = await planAll(into, saved);
  assert.deepEqual(rest.filter(({ action }) => action === "replace"), []);
});

Deno.test("a plan shows each field with both values, and changes nothing", async () => {
  await using contract = startManagementContract();
  fill(contract);
  const saved = await saveAll(source(contract));
  const { auth } = contract.resources.config;
  Object.assign(auth, {
    site_url: "https://old.example",
    sms_test_otp: "1=1",
    hook_send_email_uri: "https://other.example",
  });
  contract.seen.length = 0;

  const steps = await planAll(target(contract, saved), saved);

  assert.deepEqual(contract.seen.filter((request) => !request.startsWith("GET")), []);
  const { difference } = step(steps, "auth", "replace");
  assert.deepEqual(difference, {
    changes: [
      {
        field: "hook_send_email_uri",
        from: "https://other.example",
        to: "https://***@hooks.example/mail",
      },
      { field: "site_url", from: "https://old.example", to: "https://shop.example" },
      { field: "sms_test_otp", from: "***", to: "***" },
    ],
    byHand: [],
  });
});

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

Deno.test("into another project: secrets are supplied by hand, and what needs them stays off until then", async () => {
  await using old = startManagementContract();
  fill(old);
  const saved = await saveAll(source(old));
  await using fresh = startManagementContract({ projectRef: OTHER_REF });
  fresh.resources.config.backupSchedule = { schedule_for: "01:00:00" };
  const into = target(fresh, saved, OTHER_REF);

  const steps = await planAll(into, saved);
  const byHand = step(steps, "auth", "by-hand");
  assert.deepEqual((byHand.difference as { byHand: unknown }).byHand, [
    { field: "external_google_secret", why: "the target has none" },
    { field: "hook_send_email_secrets", why: "the target has none" },
    {
      field: "external_google_enabled",
      why: "it waits for external_google_secret, which the target lacks",
      to: true,
    },
    {
      field: "hook_send_email_enabled",
      why: "it waits for hook_send_email_secrets, which the target lacks",
      to: true,
    },
  ]);
  assert.match(
    step(steps, "custom-hostname", "by-hand").title,
    /custom_hostname \(api\.shop\.example\).*supabase domains create/,
  );
  step(steps, "addons", "by-hand");

  const results = await applyAll(into, { backup: saved, steps });
  assert.deepEqual(results.filter(({ outcome }) => outcome !== "done"), []);
  const { auth } = fresh.resources.config;
  assert.equal(auth.external_google_client_id, "client.apps.example");
  assert.equal(auth.external_google_enabled, false);
  assert.equal(auth.external_google_secret, null);

  auth.external_google_secret = "c".repeat(64); // a person supplies it
  const next = await planAll(into, saved);
  const { changes } = step(next, "auth", "replace").difference as { changes: unknown };
  assert.deepEqual(changes, [{ field: "external_google_enabled", from: false, to: true }]);
});

Deno.test("hazards are named: a shut door, a restart, a disk that grows, addresses of the saved project", async () => {
  await using old = startManagementContract();
  fill(old);
  old.resources.config.auth.hook_send_sms_uri =
    `https://${CONTRACT_REF}.supabase.co/functions/v1/x`;
  const saved = await saveAll(source(old));
  await using fresh = startManagementContract({ projectRef: OTHER_REF });
  const steps = await planAll(target(fresh, saved, OTHER_REF), saved);

  const hazards = (key: string) => step(steps, key, "replace").hazards?.join("; ") ?? "";
  assert.match(hazards("database-network"), /Edge Functions, this service among them/);
  assert.match(hazards("database-ssl"), /without TLS are refused/);
  assert.match(hazards("database-disk"), /never shrinks/);
  assert.match(hazards("database-postgres"), /max_connections: in force only after you restart/);
  assert.match(hazards("auth"), new RegExp(`hook_send_sms_uri: its value names the saved project`));
  assert.match(hazards("saml-providers"), /new id/);
  assert.equal(step(steps, "realtime", "replace").hazards, undefined);
  const changing = steps.filter(({ action }) => action === "replace").map(({ key }) => key);
  assert.equal(changing.at(-1), "database-network");
  assert.ok(changing.indexOf("auth") < changing.indexOf("saml-providers"));
});

Deno.test("the database is not restarted, and a disk is never asked to shrink", async () => {
  await using contract = startManagementContract();
  fill(contract);
  const saved = await saveAll(source(contract));
  const { config } = contract.resources;
  config.postgres = {};
  config.disk = { iops: 3000, size_gb: 500, throughput_mibps: 125, type: "gp3" };
  const into = target(contract, saved);
  const steps = await planAll(into, saved);
  const results = await applyAll(into, { backup: saved, steps });
  assert.deepEqual(results.map(({ key, outcome }) => [key, outcome]), [
    ["database-disk", "done"],
    ["database-postgres", "done"],
  ]);
  assert.deepEqual(config.disk, { iops: 4000, size_gb: 500, throughput_mibps: 250, type: "gp3" });
  assert.deepEqual(config.postgres, { max_connections: 120, statement_timeout: "30s" });
  assert.equal(config.restarted, false);
});

Deno.test("a field that the plan does not include leaves the others restored, and is told of", async () => {
  await using contract = startManagementContract();
  fill(contract);
  const saved = await saveAll(source(contract));
  const { config } = contract.resources;
  Object.assign(config.auth, { sessions_timebox: null, site_url: "https://x.example" });
  config.refusedAuthFields.add("sessions_timebox");
  const into = target(contract, saved);
  const steps = await planAll(into, saved);
  const [result] = await applyAll(into, { backup: saved, steps });
  assert.equal(result?.outcome, "failed");
  assert.equal(result?.failure?.code, "management_refused");
  assert.match(result?.failure?.message ?? "", /^Cannot restore sessions_timebox: /);
  assert.equal(config.auth.site_url, "https://shop.example");
});

Deno.test("what does not hold after it was written is a failure", async () => {
  await using contract = startManagementContract();
  fill(contract);
  const saved = await saveAll(source(contract));
  const { config } = contract.resources;
  config.realtime.max_concurrent_users = 1;
  contract.fail("v1-update-realtime-config", { text: "" }); // it says yes and does nothing
  const into = target(contract, saved);
  const [result] = await applyAll(into, { backup: saved, steps: await planAll(into, saved) });
  assert.equal(result?.failure?.code, "restore_mismatch");
  assert.match(result?.failure?.message ?? "", /max_concurrent_users/);
});

Deno.test("elements that only the target has stay, and a worker that dies in between adds none twice", async () => {
  await using contract = startManagementContract();
  fill(contract);
  const saved = await saveAll(source(contract));
  const { config } = contract.resources;
  const [issuer] = config.issuers;
  config.issuers = [{
    ...issuer,
    id: crypto.randomUUID(),
    oidc_issuer_url: "https://mine.example",
  }];
  const into = target(contract, saved);
  const steps = await planAll(into, saved);
  assert.deepEqual(step(steps, "third-party-auth", "replace").difference, {
    create: ["https://issuer.example"],
    change: [],
    onlyInTarget: ["https://mine.example"],
  });
  contract.fail("v1-create-project-tpa-integration", "lost");
  const [failed] = await applyAll(into, { backup: saved, steps });
  assert.equal(failed?.failure?.code, "management_unavailable");
  const [again] = await applyAll(into, { backup: saved, steps });
  assert.equal(again?.outcome, "kept");
  assert.deepEqual(config.issuers.map(({ oidc_issuer_url: url }) => url), [
    "https://mine.example",
    "https://issuer.example",
  ]);
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

Deno.test("a plan of a target that refuses one section goes on, and one whose token is refused does not", async () => {
  await using contract = startManagementContract();
  fill(contract);
  const saved = await saveAll(source(contract));
  contract.fail("v1-get-storage-config", { status: 403 });
  const into = target(contract, saved);
  const steps = await planAll(into, saved);
  assert.match(step(steps, "storage", "by-hand").title, /cannot be compared: .*not allowed this/);
  step(steps, "auth", "keep");
  contract.fail("v1-get-auth-service-config", { status: 401 });
  await assert.rejects(
    planAll(into, saved),
    (error) => error instanceof BackupError && error.code === "management_unauthorized",
  );
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
