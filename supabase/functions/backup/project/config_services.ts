/**
 * The settings of what stands around the database: data API, Realtime, Storage, names, platform backups.
 *
 * @module
 */
import type { Json } from "../core/part.ts";
import type { ConfigSection } from "./config_section.ts";

const DATA_API: ConfigSection = {
  key: "data-api",
  title: "data API",
  path: "/v1/projects/{ref}/postgrest",
  permission: "data_api_config_read",
  write: {
    method: "PATCH",
    path: "/v1/projects/{ref}/postgrest",
    permission: "data_api_config_write",
    form: "changed",
    nulls: false,
  },
  writable: ["db_extra_search_path", "db_pool", "db_schema", "max_rows"],
  leftOut: ["jwt_secret"],
  hazards: (changes) =>
    changes.filter((change) => change.field === "db_schema").map((change) =>
      `db_schema: the data API will serve exactly the schemas ${JSON.stringify(change.to)}`
    ),
};

const REALTIME: ConfigSection = {
  key: "realtime",
  title: "Realtime",
  path: "/v1/projects/{ref}/config/realtime",
  permission: "realtime_config_read",
  write: {
    method: "PATCH",
    path: "/v1/projects/{ref}/config/realtime",
    permission: "realtime_config_write",
    form: "changed",
    nulls: false,
  },
  writable: [
    "connection_pool",
    "max_bytes_per_second",
    "max_channels_per_client",
    "max_concurrent_users",
    "max_events_per_second",
    "max_joins_per_second",
    "max_payload_size_in_kb",
    "max_presence_events_per_second",
    "presence_enabled",
    "private_only",
    "suspend",
  ],
  hazards: (changes) =>
    changes.some((change) => change.field === "suspend" && change.to === true)
      ? ["suspend: Realtime is switched off"]
      : [],
};

const STORAGE: ConfigSection = {
  key: "storage",
  title: "Storage",
  path: "/v1/projects/{ref}/config/storage",
  permission: "storage_config_read",
  write: {
    method: "PATCH",
    path: "/v1/projects/{ref}/config/storage",
    permission: "storage_config_write",
    form: "changed",
    nulls: false,
  },
  writable: [
    "features.icebergCatalog",
    "features.imageTransformation",
    "features.s3Protocol",
    "features.vectorBuckets",
    "fileSizeLimit",
  ],
  readOnly: {
    capabilities: "the release of Storage sets it",
    databasePoolMode: "the platform sets it",
    external: "the platform moves projects between its own releases by it",
    migrationVersion: "the release of Storage sets it",
  },
};

const PLATFORM_BACKUPS: ConfigSection = {
  key: "platform-backups",
  title: "time of the platform's own backups",
  path: "/v1/projects/{ref}/database/backups/schedule",
  permission: "backups_read",
  absent: { 404: "none is set" },
  write: {
    method: "PATCH",
    path: "/v1/projects/{ref}/database/backups/schedule",
    permission: "backups_write",
    form: "changed",
    nulls: false,
  },
  writable: ["schedule_for"],
  readOnly: { updated_at: "a time of the past" },
};

const CUSTOM_HOSTNAME: ConfigSection = {
  key: "custom-hostname",
  title: "custom hostname",
  path: "/v1/projects/{ref}/custom-hostname",
  permission: "custom_domain_read",
  // Undocumented: what it answers for a project that never had one.
  absent: { 400: "none is set up", 404: "none is set up" },
  write: null,
  writable: [],
  readOnly: {
    custom_hostname: "it needs records in the domain's DNS",
    status: "follows from the DNS",
  },
  // Names and values that prove ownership; new ones are given for a new project.
  leftOut: ["data"],
  byHand:
    "supabase domains create --custom-hostname <hostname>, set the DNS records that it prints, " +
    "then supabase domains activate",
};

const VANITY_SUBDOMAIN: ConfigSection = {
  key: "vanity-subdomain",
  title: "vanity subdomain",
  path: "/v1/projects/{ref}/vanity-subdomain",
  permission: "vanity_subdomain_read",
  absent: { 400: "none is set up", 404: "none is set up" },
  write: null,
  writable: [],
  readOnly: {
    custom_domain: "a name can be in use only once, and the saved project may still hold it",
    status: "follows from the name",
  },
  byHand:
    "supabase vanity-subdomains activate --desired-subdomain <name>, once no project holds it",
};

const SIGNING_KEYS: ConfigSection = {
  key: "signing-keys",
  title: "keys that sign users' tokens",
  path: "/v1/projects/{ref}/config/auth/signing-keys",
  permission: "auth_signing_keys_read",
  absent: { 404: "the project has none" },
  view: (answer) => ({ keys: (answer as { keys?: Json }).keys ?? [] }),
  write: null,
  writable: [],
  readOnly: { keys: "only the public halves can be read" },
  byHand: "Users sign in again, unless you import the private keys that you keep elsewhere " +
    "(dashboard, JWT keys)",
};

const ADDONS: ConfigSection = {
  key: "addons",
  title: "compute size and add-ons",
  path: "/v1/projects/{ref}/billing/addons",
  permission: "infra_add_ons_read",
  view: (answer) => ({
    selected: ((answer as { selected_addons?: { type: Json; variant?: { id?: Json } }[] })
      .selected_addons ?? []).map(({ type, variant }) => ({ type, variant: variant?.id ?? null })),
  }),
  write: null,
  writable: [],
  readOnly: { selected: "they cost money" },
  byHand: "Choose them in the dashboard (settings, add-ons) before sizes and limits are restored",
};

const PROJECT: ConfigSection = {
  key: "project",
  title: "the project",
  path: "/v1/projects/{ref}",
  permission: "project_admin_read",
  write: null,
  writable: [],
  readOnly: {
    created_at: "a time of the past",
    database: "the project's own",
    name: "a new project has a name of its own",
    organization_slug: "the project's own",
    ref: "the project's own",
    region: "it is chosen when a project is made",
    status: "of the moment",
  },
  leftOut: ["id", "organization_id"],
};

/** See the module. */
export const SERVICE_SECTIONS: readonly ConfigSection[] = [
  ADDONS,
  CUSTOM_HOSTNAME,
  DATA_API,
  PLATFORM_BACKUPS,
  PROJECT,
  REALTIME,
  SIGNING_KEYS,
  STORAGE,
  VANITY_SUBDOMAIN,
];
