/**
 * Which schemas and tables are taken: the operator's patterns and the profile.
 *
 * @module
 */
import { matchesPattern } from "../core/match_pattern.ts";
import type { DumpOptions, SavedSchema } from "./context.ts";

export { matchesPattern };

/** Schemas whose definitions the Supabase platform owns and makes itself in every project. */
export const MANAGED_SCHEMAS: readonly string[] = [
  "_analytics",
  "_realtime",
  "_supavisor",
  "auth",
  "cron",
  "etl",
  "extensions",
  "graphql",
  "graphql_public",
  "net",
  "pgbouncer",
  "pgmq",
  "pgsodium",
  "pgsodium_masks",
  "pgtle",
  "realtime",
  "repack",
  "storage",
  "supabase_functions",
  "vault",
];

/** Whether the profile says that the platform owns this schema. */
export function isManagedSchema(options: DumpOptions, name: string): boolean {
  return options.profile === "supabase" && MANAGED_SCHEMAS.includes(name);
}

/** What is taken of a schema: system schemas for changed rights only, temporary ones not at all. */
export function takeOfSchema(options: DumpOptions, name: string): SavedSchema["take"] {
  if (/^pg_(temp|toast_temp)_\d+$/.test(name) || name === "pg_toast") return "none";
  const selected = isSelected(options, name);
  // The server remembers no initial rights for information_schema, so changed ones cannot be told.
  if (name === "information_schema") return "none";
  if (name === "pg_catalog") return hasPatterns(options) ? "none" : "rights";
  return selected ? "all" : "none";
}

function hasPatterns(options: DumpOptions): boolean {
  return options.includeSchemas.length > 0 || options.includeTables.length > 0;
}

/** A schema is read when it is chosen itself, and when tables of it may be. */
function isSelected(options: DumpOptions, schema: string): boolean {
  if (options.excludeSchemas.some((pattern) => matchesPattern(pattern, schema))) return false;
  return options.includeTables.length > 0 || takesWholeSchema(options, schema);
}

/** Whether all that a schema holds is taken, and not only chosen tables of it. */
export function takesWholeSchema(options: DumpOptions, schema: string): boolean {
  if (!hasPatterns(options)) return true;
  return options.includeSchemas.some((pattern) => matchesPattern(pattern, schema));
}
