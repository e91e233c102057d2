/**
 * Brings the service's tables to this release.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Sql, StateDatabase } from "./database.ts";
import { MIGRATIONS, OWN_FUNCTIONS } from "./migrations.ts";

/** What was done and what was there. */
export interface MigrationReport {
  applied: string[];
  present: string[];
}

/** Held while migrating, so that two callers at once come one after the other. */
const LOCK = 7_277_816_997_830_721n;

/** How long a table may be held by others before this gives up: whoever waits longer stops all jobs. */
const LOCK_TIMEOUT_MS = 10_000;

/**
 * Applies every migration that the ledger does not name, all in one transaction. A job that runs goes on.
 *
 * @throws `conflict` when the tables were made by a newer release; `lock_timeout` when another session
 * holds a table of ours, and nothing is changed
 */
export async function applyMigrations(
  database: StateDatabase,
  { lockTimeoutMs = LOCK_TIMEOUT_MS }: { lockTimeoutMs?: number } = {},
): Promise<MigrationReport> {
  return await database.transaction("make the service's tables", async (sql) => {
    await sql`select pg_catalog.pg_advisory_xact_lock(${LOCK.toString()}::bigint)`;
    await sql`select pg_catalog.set_config('lock_timeout', ${String(lockTimeoutMs)}, true)`;
    const present = await readLedger(sql);
    const unknown = [...present].filter((version) =>
      !MIGRATIONS.some((m) => m.version === version)
    );
    if (unknown.length > 0) throw madeByNewer(unknown);
    const isWhole = await hasAll(sql, present);
    // A disaster may have taken the schema itself.
    if (!isWhole) await sql`create schema if not exists public`;
    const applied: string[] = [];
    for (const migration of MIGRATIONS) {
      // A dropped table is made again although the ledger knows the migration: each can run twice.
      if (present.has(migration.version) && isWhole) continue;
      await sql.unsafe(migration.sql);
      applied.push(migration.version);
    }
    return { applied, present: [...present].filter((version) => !applied.includes(version)) };
  });
}

async function readLedger(sql: Sql): Promise<Set<string>> {
  const [ledger] = await sql`select to_regclass('backup_internal.migrations') is not null as there`;
  const rows = ledger?.there ? await sql`select version from backup_internal.migrations` : [];
  return new Set(rows.map((row) => String(row.version)));
}

/** Whether every table and function is there that the migrations of these versions make. */
async function hasAll(sql: Sql, versions: ReadonlySet<string>): Promise<boolean> {
  const text = MIGRATIONS.filter(({ version }) => versions.has(version)).map((one) => one.sql)
    .join();
  const tables = [...text.matchAll(/^create table if not exists (\S+)/gm)].map((found) =>
    found[1]!
  );
  const functions = OWN_FUNCTIONS.filter((name) =>
    text.includes(`function public.${name.split("(")[0]}(`)
  ).map((name) => `public.${name}`);
  const [found] = await sql`
    select not exists (select from unnest(${tables}::text[]) t where to_regclass(t) is null)
      and not exists (select from unnest(${functions}::text[]) f where to_regprocedure(f) is null)
      as whole`;
  return found?.whole === true;
}

function madeByNewer(versions: readonly string[]): BackupError {
  return new BackupError(
    "conflict",
    `Cannot use the service's tables: a newer release made them (${versions.join(", ")})`,
    {
      hint: "Deploy the newer release of the function. Until then backups and restores go on: " +
        "newer tables only have more than this release knows.",
      details: { versions: [...versions] },
    },
  );
}
