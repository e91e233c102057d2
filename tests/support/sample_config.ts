/**
 * A project's configuration for tests, with what saves and restores it.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ItemStep } from "../../supabase/functions/backup/core/items.ts";
import { configSource, configTarget } from "../../supabase/functions/backup/project/mod.ts";
import { CONTRACT_REF, type ManagementContract } from "./management_contract.ts";
import type { MemoryBackup } from "./saved_items.ts";

/** What saves the configuration of the project. */
export function source(contract: ManagementContract, variables: Record<string, string> = {}) {
  return configSource({
    projectRef: CONTRACT_REF,
    api: contract.api(),
    connect: null,
    environment: { variable: (name) => variables[name], declared: ["FEATURE_MODE"] },
    settingsTables: [],
  });
}

/** What restores a configuration into the project. */
export function target(
  contract: ManagementContract,
  backup: MemoryBackup,
  projectRef = CONTRACT_REF,
) {
  return configTarget({ api: contract.api({ projectRef }), connect: null, open: backup.open });
}

/** A project in which every section is otherwise than new. */
export function fill({ resources: { config } }: ManagementContract): void {
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

/** The step of a plan that must be there. */
export function step(steps: readonly ItemStep[], key: string, action: string): ItemStep {
  const found = steps.find((each) => each.key === key && each.action === action);
  assert.ok(found, `no step ${action} ${key} in ${steps.map((one) => `${one.action} ${one.key}`)}`);
  return found;
}
