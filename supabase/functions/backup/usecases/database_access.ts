/**
 * How the service reaches its database and what of it is saved, by the settings.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import type { Settings } from "../core/settings.ts";
import type { DumpOptions } from "../dump/mod.ts";
import { connect } from "../postgres/connect.ts";
import { parseDatabaseUrl } from "../postgres/database_url.ts";
import type { Session } from "../postgres/session.ts";
import { OWN_FUNCTIONS, OWN_SCHEMA, OWN_TABLES } from "../state/migrations.ts";
import type { Deps } from "./deps.ts";

/** The address of the service's database. @throws `invalid_config` when none is set */
export function databaseUrl(deps: Deps): Secret {
  const url = deps.environment.databaseUrl;
  if (url !== null) return url;
  throw new BackupError("invalid_config", "Cannot reach the database: no address is set", {
    hint: "Set SUPABASE_DB_URL.",
  });
}

/** Name of the service's database; what PostgreSQL itself takes where no address says it. */
export function databaseName(deps: Deps): string {
  const url = deps.environment.databaseUrl;
  return url === null ? "postgres" : parseDatabaseUrl(url.reveal()).database;
}

/** A way to open connections to an address. */
export function connector(url: Secret, signal?: AbortSignal): () => Promise<Session> {
  const ofSignal = signal === undefined ? {} : { signal };
  return () => connect({ url, applicationName: "supabase-backup", ...ofSignal });
}

/**
 * What is saved. The service's own objects are not: they are an index of storage and must outlive a restore.
 */
export async function dumpOptions(
  open: () => Promise<Session>,
  settings: Settings,
): Promise<DumpOptions> {
  const session = await open();
  try {
    const [found] = await session.query(`
      select exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin')
          and exists (select from pg_catalog.pg_namespace where nspname = 'auth') as is_supabase`);
    const profile = settings.databaseProfile === "auto"
      ? (found?.is_supabase ? "supabase" : "plain")
      : settings.databaseProfile;
    const own = await ownObjects(session);
    return {
      profile,
      includeSchemas: [],
      excludeSchemas: [...settings.excludeSchemas, ...own.schemas],
      includeTables: [],
      excludeTables: [...settings.excludeTables, ...own.tables],
      excludeFunctions: own.functions,
      excludeTableData: settings.excludeTableData,
      copyFormat: "auto",
    };
  } finally {
    await session.close();
  }
}

/** The service's own schema, tables and functions, to exclude; none where the service was never set up. */
export async function ownObjects(
  session: Session,
): Promise<{ schemas: string[]; tables: string[]; functions: string[] }> {
  const [found] = await session.query(
    `select from pg_catalog.pg_namespace where nspname = '${OWN_SCHEMA}'`,
  );
  return found === undefined ? { schemas: [], tables: [], functions: [] } : {
    schemas: [OWN_SCHEMA],
    tables: OWN_TABLES.map((table) => `public.${table}`),
    functions: OWN_FUNCTIONS.map((name) => `public.${name}`),
  };
}
