/**
 * Every catalog family but the schemas, in the order of reading.
 *
 * @module
 */
import type { CatalogFamily } from "../context.ts";
import { cronJobsFamily } from "./cron_jobs.ts";
import { databaseFamily } from "./database.ts";
import { defaultAclsFamily } from "./default_acls.ts";
import { eventTriggersFamily } from "./event_triggers.ts";
import { extensionsFamily } from "./extensions.ts";
import { mappingsFamily, serversFamily, wrappersFamily } from "./foreign_data.ts";
import { languagesFamily } from "./languages.ts";
import { largeObjectsFamily } from "./large_objects.ts";
import { publicationsFamily } from "./publications.ts";
import { relationFamilies } from "./relations_index.ts";
import { rolesFamily } from "./roles.ts";
import { subscriptionsFamily } from "./subscriptions.ts";
import { tablespacesFamily } from "./tablespaces.ts";
import { typeFamilies } from "./types_index.ts";

/** The families that are read side by side, once the schemas are known: they ask them what to take. */
export const FAMILIES: readonly CatalogFamily[] = [
  rolesFamily,
  tablespacesFamily,
  databaseFamily,
  extensionsFamily,
  languagesFamily,
  wrappersFamily,
  serversFamily,
  mappingsFamily,
  ...typeFamilies,
  ...relationFamilies,
  largeObjectsFamily,
  publicationsFamily,
  subscriptionsFamily,
  eventTriggersFamily,
  defaultAclsFamily,
  cronJobsFamily,
];
