/**
 * Settings of the stand-in's project. The first values are those that the real API tells of a new project,
 * as the Supabase CLI's repository recorded them; secrets come back as digests keyed with the ref.
 *
 * @module
 */
import { createHmac } from "node:crypto";
import { AUTH_SECTION } from "../../../supabase/functions/backup/project/config_auth.ts";
import { Refusal, type Resource } from "./contract_types.ts";

// deno-lint-ignore no-explicit-any -- the document has checked what is in it
type Json = any;

/** See the module. */
export interface ConfigState extends Resource {
  auth: Record<string, Json>;
  postgrest: Record<string, Json>;
  postgres: Record<string, Json>;
  pooler: Record<string, Json>;
  disk: Record<string, Json>;
  realtime: Record<string, Json>;
  storage: Record<string, Json>;
  network: { dbAllowedCidrs: string[]; dbAllowedCidrsV6: string[] };
  ssl: { database: boolean };
  temporaryAccess: Record<string, Json>;
  backupSchedule: { schedule_for: string } | null;
  customHostname: string | null;
  vanitySubdomain: string | null;
  addons: { type: string; variant: string }[];
  signingKeys: Record<string, Json>[];
  issuers: Record<string, Json>[];
  providers: Record<string, Json>[];
  /** Fields of sign-in that the plan does not include: a request with one of them changes nothing. */
  refusedAuthFields: Set<string>;
  /** Whether the last change of PostgreSQL's parameters restarted the database. */
  restarted: boolean;
}

const NEW_AUTH: Record<string, Json> = {
  api_max_request_duration: 10,
  custom_oauth_enabled: false,
  custom_oauth_max_providers: 3,
  db_max_pool_size: 10,
  db_max_pool_size_unit: "connections",
  jwt_exp: 3600,
  mailer_otp_exp: 3600,
  mailer_otp_length: 6,
  mfa_max_enrolled_factors: 10,
  mfa_phone_max_frequency: 5,
  mfa_phone_otp_length: 6,
  oauth_server_allow_dynamic_registration: false,
  oauth_server_enabled: false,
  passkey_enabled: false,
  password_min_length: 8,
  password_required_characters: "",
  rate_limit_email_sent: 2,
  security_captcha_provider: "hcaptcha",
  site_url: "http://localhost:3000",
  sms_max_frequency: 5,
  sms_otp_exp: 60,
  sms_otp_length: 6,
  sms_provider: "twilio",
  smtp_max_frequency: 60,
};

function newAuth(): Record<string, Json> {
  const fields = [
    ...AUTH_SECTION.writable,
    ...Object.keys(AUTH_SECTION.secrets ?? {}),
    ...Object.keys(AUTH_SECTION.readOnly ?? {}),
  ];
  const empty = Object.fromEntries(
    fields.map((field) => [field, /_enabled$|^disable_signup$/.test(field) ? false : null]),
  );
  return { ...empty, ...NEW_AUTH };
}

/** The settings of a new project. */
export function configState(ref: string): ConfigState {
  const now = "2026-01-01T00:00:00Z";
  const digest = (value: string) => createHmac("sha256", ref).update(value).digest("hex");

  function patchAuth(json: Record<string, Json>) {
    const refused = Object.keys(json).filter((field) => state.refusedAuthFields.has(field));
    if (refused.length > 0) throw new Refusal(402, `${refused} needs a higher plan`);
    for (const [field, value] of Object.entries(json)) {
      const isSecret = AUTH_SECTION.secrets?.[field] !== undefined;
      state.auth[field] = isSecret && value !== null ? digest(value) : value;
    }
    return { json: state.auth };
  }

  function networkAnswer() {
    return {
      json: { entitlement: "allowed", config: { ...state.network }, status: "applied" },
    };
  }

  function provider(id: string): Record<string, Json> {
    const found = state.providers.find((one) => one.id === id);
    if (found === undefined) throw new Refusal(404, "No such provider");
    return found;
  }

  function putProvider(id: string, json: Record<string, Json>): Record<string, Json> {
    const { type: _, domains = [], ...saml } = json;
    const source = saml.metadata_url ?? saml.metadata_xml;
    return {
      id,
      saml: { id: crypto.randomUUID(), entity_id: `entity of ${source}`, ...saml },
      domains: domains.map((domain: string) => ({ id: crypto.randomUUID(), domain })),
      created_at: now,
      updated_at: now,
    };
  }

  function needSaml() {
    if (state.auth.saml_enabled !== true) throw new Refusal(404, "SAML 2.0 support is not enabled");
  }

  const state: ConfigState = {
    auth: newAuth(),
    postgrest: {
      db_schema: "public,graphql_public",
      max_rows: 1000,
      db_extra_search_path: "public, extensions",
      db_pool: null,
      jwt_secret: "the secret in the clear that nobody must keep",
    },
    postgres: {},
    pooler: { default_pool_size: null, pool_mode: "transaction" },
    disk: { iops: 3000, size_gb: 8, throughput_mibps: 125, type: "gp3" },
    realtime: {
      private_only: false,
      connection_pool: 2,
      max_concurrent_users: 200,
      max_events_per_second: 100,
      max_bytes_per_second: 100000,
      max_channels_per_client: 100,
      max_joins_per_second: 100,
      max_presence_events_per_second: 100,
      max_payload_size_in_kb: 100,
      suspend: null,
      presence_enabled: true,
    },
    storage: {
      fileSizeLimit: 52428800,
      features: {
        imageTransformation: { enabled: false },
        s3Protocol: { enabled: true },
        icebergCatalog: { enabled: false, maxNamespaces: 10, maxTables: 10, maxCatalogs: 2 },
        vectorBuckets: { enabled: false, maxBuckets: 10, maxIndexes: 5 },
      },
      capabilities: { list_v2: true, iceberg_catalog: true },
      external: { upstreamTarget: "main" },
      migrationVersion: "operation-ergonomics",
      databasePoolMode: "recycled",
    },
    network: { dbAllowedCidrs: ["0.0.0.0/0"], dbAllowedCidrsV6: ["::/0"] },
    ssl: { database: false },
    temporaryAccess: { state: "disabled", appliedSuccessfully: true },
    backupSchedule: null,
    customHostname: null,
    vanitySubdomain: null,
    addons: [],
    signingKeys: [],
    issuers: [],
    providers: [],
    refusedAuthFields: new Set(),
    restarted: false,
    handlers: {
      "v1-get-auth-service-config": () => ({ json: state.auth }),
      "v1-update-auth-service-config": ({ json }) => patchAuth(json),
      "v1-get-postgrest-service-config": () => ({ json: state.postgrest }),
      "v1-update-postgrest-service-config": ({ json }) => {
        Object.assign(state.postgrest, json);
        const { jwt_secret: _, ...told } = state.postgrest;
        return { json: told };
      },
      "v1-get-postgres-config": () => ({ json: state.postgres }),
      "v1-update-postgres-config": ({ json: { restart_database: restart = true, ...json } }) => {
        state.postgres = json;
        state.restarted = restart;
        return { json };
      },
      "v1-get-pooler-config": () => ({
        json: ["READ_REPLICA", "PRIMARY"].map((type) => ({
          identifier: ref,
          database_type: type,
          is_using_scram_auth: true,
          db_user: `postgres.${ref}`,
          db_host: "pooler.example",
          db_port: 6543,
          db_name: "postgres",
          connection_string: "postgresql://postgres:[YOUR-PASSWORD]@pooler.example:6543/postgres",
          connectionString: "postgresql://postgres:[YOUR-PASSWORD]@pooler.example:6543/postgres",
          max_client_conn: null,
          ...(type === "PRIMARY" ? state.pooler : { default_pool_size: 1, pool_mode: "session" }),
        })),
      }),
      "v1-update-pooler-config": ({ json }) => ({ json: Object.assign(state.pooler, json) }),
      "v1-get-project-pgbouncer-config": () => ({
        json: {
          pool_mode: state.pooler.pool_mode,
          connection_string: "postgresql://postgres:[YOUR-PASSWORD]@db.example:6543/postgres",
        },
      }),
      "v1-get-database-disk": () => ({ json: { attributes: state.disk, last_modified_at: now } }),
      "v1-modify-database-disk": ({ json }) => {
        if (json.attributes.size_gb < state.disk.size_gb) throw new Refusal(400, "Cannot shrink");
        state.disk = json.attributes;
        return { status: 201 };
      },
      "v1-get-project-disk-autoscale-config": () => ({
        json: { growth_percent: 50, min_increment_gb: 4, max_size_gb: 100 },
      }),
      "v1-get-realtime-config": () => ({ json: state.realtime }),
      "v1-update-realtime-config": ({ json }) => {
        Object.assign(state.realtime, json);
        return { status: 204 };
      },
      "v1-get-storage-config": () => ({ json: state.storage }),
      "v1-update-storage-config": ({ json: { features = {}, ...json } }) => {
        Object.assign(state.storage, json);
        Object.assign(state.storage.features, features);
        return {};
      },
      "v1-get-network-restrictions": networkAnswer,
      "v1-update-network-restrictions": ({ json }) => {
        state.network = { dbAllowedCidrs: [], dbAllowedCidrsV6: [], ...json };
        return { ...networkAnswer(), status: 201 };
      },
      "v1-get-ssl-enforcement-config": () => ({
        json: { currentConfig: state.ssl, appliedSuccessfully: true },
      }),
      "v1-update-ssl-enforcement-config": ({ json }) => {
        state.ssl = json.requestedConfig;
        return { json: { currentConfig: state.ssl, appliedSuccessfully: true } };
      },
      "v1-get-jit-access-config": () => ({ json: state.temporaryAccess }),
      "v1-update-jit-access-config": ({ json }) => {
        state.temporaryAccess = { ...json, appliedSuccessfully: true };
        return { json: state.temporaryAccess };
      },
      "v1-get-backup-schedule": () => {
        if (state.backupSchedule === null) throw new Refusal(402, "needs a higher plan");
        return { json: { ...state.backupSchedule, updated_at: now } };
      },
      "v1-update-backup-schedule": ({ json }) => {
        if (state.backupSchedule === null) throw new Refusal(402, "needs a higher plan");
        state.backupSchedule = json;
        return { json: { ...json, updated_at: now } };
      },
      "v1-get-hostname-config": () => {
        if (state.customHostname === null) throw new Refusal(404, "No custom hostname");
        return { json: hostnameAnswer(ref, state.customHostname) };
      },
      "v1-get-vanity-subdomain-config": () => ({
        json: state.vanitySubdomain === null
          ? { status: "not-used" }
          : { status: "active", custom_domain: state.vanitySubdomain },
      }),
      "v1-list-project-addons": () => ({
        json: { selected_addons: state.addons.map(addonAnswer), available_addons: [] },
      }),
      "v1-get-project-signing-keys": () => ({ json: { keys: state.signingKeys } }),
      "v1-list-project-tpa-integrations": () => ({ json: state.issuers }),
      "v1-create-project-tpa-integration": ({ json }) => {
        const issuer = {
          id: crypto.randomUUID(),
          type: "custom",
          ...json,
          resolved_jwks: { keys: [] },
          inserted_at: now,
          updated_at: now,
          resolved_at: null,
        };
        state.issuers.push(issuer);
        return { status: 201, json: issuer };
      },
      "v1-list-all-sso-provider": () => {
        needSaml();
        return { json: { items: state.providers } };
      },
      "v1-create-a-sso-provider": ({ json }) => {
        needSaml();
        const made = putProvider(crypto.randomUUID(), json);
        state.providers.push(made);
        return { status: 201, json: made };
      },
      "v1-update-a-sso-provider": ({ params, json }) => {
        needSaml();
        const found = provider(params.provider_id as string);
        const { entity_id } = found.saml;
        Object.assign(found, putProvider(found.id, json));
        found.saml.entity_id = entity_id;
        return { json: found };
      },
    },
  };
  return state;
}

function addonAnswer({ type, variant }: { type: string; variant: string }) {
  return {
    type,
    variant: {
      id: variant,
      name: variant,
      price: { description: "", type: "fixed", interval: "monthly", amount: 10 },
      meta: {},
    },
  };
}

function hostnameAnswer(ref: string, hostname: string) {
  return {
    status: "5_services_reconfigured",
    custom_hostname: hostname,
    data: {
      success: true,
      errors: [],
      messages: [],
      result: {
        id: "00000000-0000-0000-0000-000000000000",
        hostname,
        ssl: { status: "active", validation_records: [] },
        ownership_verification: { type: "", name: "", value: "" },
        custom_origin_server: `${ref}.supabase.co`,
        status: "active",
      },
    },
  };
}
