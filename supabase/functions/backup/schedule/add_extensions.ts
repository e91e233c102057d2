/**
 * Switches the extensions on that the clock inside the database is made of, where the server has them and
 * the role may: on Supabase the role `postgres` may.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import type { StateDatabase } from "../state/database.ts";

/** As the platform documents them. */
const STATEMENTS: Readonly<Record<string, string>> = {
  pg_cron: "create extension if not exists pg_cron with schema pg_catalog",
  pg_net: "create extension if not exists pg_net",
  supabase_vault: "create extension if not exists supabase_vault",
};

/**
 * Switches on what is off; what is on stays as it is.
 *
 * @returns by name, why one could not be switched on although the server has it
 */
export async function addExtensions(database: StateDatabase): Promise<Map<string, string>> {
  const refused = new Map<string, string>();
  const off = await database.run("look for extensions", (sql) =>
    sql`
      select name from pg_catalog.pg_available_extensions
      where name = any(${Object.keys(STATEMENTS)}) and installed_version is null order by name`);
  for (const { name } of off) {
    try {
      const statement = STATEMENTS[name] as string;
      await database.run(`switch ${name} on`, (sql) => sql.unsafe(statement));
    } catch (error) {
      refused.set(name, toBackupError(error).message);
    }
  }
  return refused;
}
