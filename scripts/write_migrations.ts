/**
 * Writes `supabase/migrations/` from the constants that the function applies itself.
 *
 * @module
 */
import { MIGRATIONS } from "../supabase/functions/backup/state/migrations.ts";
import { ROOT } from "./embedded_postgres.ts";
import { join } from "./paths.ts";

for (const { version, name, sql } of MIGRATIONS) {
  await Deno.writeTextFile(join(ROOT, "supabase", "migrations", `${version}_${name}.sql`), sql);
}
