/**
 * Brings the service's tables to this release.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { StateDatabase } from "./database.ts";
import { MIGRATIONS } from "./migrations.ts";

/** What was done and what was there. */
export interface MigrationReport {
  applied: string[];
  present: string[];
}

/** Held while migrating, so that two callers at once come one after the other. */
const LOCK = 7_277_816_997_830_721n;

/**
 * Applies every migration that the ledger does not name, all in one transaction.
 *
 * @throws `conflict` when the tables were made by a newer release
 */
export async function applyMigrations(database: StateDatabase): Promise<MigrationReport> {
  return await database.transaction("make the service's tables", async (sql) => {
    await sql`select pg_catalog.pg_advisory_xact_lock(${LOCK.toString()}::bigint)`;
    const [ledger] =
      await sql`select to_regclass('backup_internal.migrations') is not null as there`;
    const rows = ledger?.there ? await sql`select version from backup_internal.migrations` : [];
    const present = new Set(rows.map((row) => String(row.version)));
    const unknown = [...present].filter((version) =>
      !MIGRATIONS.some((m) => m.version === version)
    );
    if (unknown.length > 0) {
      throw new BackupError(
        "conflict",
        `Cannot use the service's tables: a newer release made them (${unknown.join(", ")})`,
        { hint: "Deploy the newer release of the function." },
      );
    }
    const [tables] = await sql`
      select to_regclass('public.backup_config') is null
        or to_regclass('public.backup_jobs') is null
        or to_regclass('public.restore_jobs') is null
        or to_regclass('public.backup_audit_log') is null
        or to_regclass('backup_internal.job_parts') is null as missing`;
    const applied: string[] = [];
    for (const migration of MIGRATIONS) {
      // A dropped table is made again although the ledger knows the migration: each can run twice.
      if (present.has(migration.version) && !tables?.missing) continue;
      await sql.unsafe(migration.sql);
      applied.push(migration.version);
    }
    return { applied, present: [...present].filter((version) => !applied.includes(version)) };
  });
}
