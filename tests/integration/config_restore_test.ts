import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { CONTRACT_REF, startManagementContract } from "../support/management_contract.ts";
import { fill, source, step, target } from "../support/sample_config.ts";
import { applyAll, planAll, saveAll } from "../support/saved_items.ts";

const OTHER_REF = "zyxwvutsrqponmlkjihg";

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
