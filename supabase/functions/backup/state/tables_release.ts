/**
 * Which release the service's tables are of, beside the one that runs.
 *
 * @module
 */
import type { StateDatabase } from "./database.ts";
import { MIGRATIONS } from "./migrations.ts";

/** How the tables stand to this release; both are empty where they are of the same. */
export interface TablesRelease {
  /** Migrations of this release that the tables lack. */
  lacking: string[];
  /** Migrations of a newer release that the tables have. */
  unknown: string[];
}

/** Reads the ledger; null where there is none, which is before `init`. */
export async function readTablesRelease(database: StateDatabase): Promise<TablesRelease | null> {
  return await database.run("read which release made the service's tables", async (sql) => {
    const [ledger] =
      await sql`select to_regclass('backup_internal.migrations') is not null as there`;
    if (ledger?.there !== true) return null;
    const rows = await sql`select version from backup_internal.migrations order by version`;
    const present = rows.map(({ version }) => String(version));
    const known = MIGRATIONS.map(({ version }) => version);
    return {
      lacking: known.filter((version) => !present.includes(version)),
      unknown: present.filter((version) => !known.includes(version)),
    };
  });
}
