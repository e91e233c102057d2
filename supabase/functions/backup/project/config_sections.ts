/**
 * Every section of a project's settings that can be read through the Management API, as data.
 *
 * @module
 */
import { AUTH_SECTION } from "./config_auth.ts";
import { DATABASE_SECTIONS } from "./config_database.ts";
import type { ConfigSection } from "./config_section.ts";
import { SERVICE_SECTIONS } from "./config_services.ts";

/** See the module; in order of their keys. */
export const CONFIG_SECTIONS: readonly ConfigSection[] = [
  AUTH_SECTION,
  ...DATABASE_SECTIONS,
  ...SERVICE_SECTIONS,
].sort((a, b) => a.key < b.key ? -1 : 1);

/**
 * Keys in the order of a restore: what others need first (a larger disk, SAML switched on), and what can
 * shut the door behind us last.
 */
export const RESTORE_ORDER: readonly string[] = [
  "project",
  "addons",
  "database-disk",
  "database-disk-autoscale",
  "database-postgres",
  "database-pooler",
  "database-pgbouncer",
  "auth",
  "signing-keys",
  "saml-providers",
  "third-party-auth",
  "data-api",
  "realtime",
  "storage",
  "environment",
  "platform-backups",
  "custom-hostname",
  "vanity-subdomain",
  "database-temporary-access",
  "database-ssl",
  "database-network",
];
