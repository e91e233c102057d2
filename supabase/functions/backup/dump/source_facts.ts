/**
 * What the source is: server, database, encoding, locale and who reads it.
 *
 * @module
 */
import type { SourceFacts } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import type { DumpOptions } from "./context.ts";

const FACTS = `
  select d.datname as database, d.datcollate as lc_collate, d.datctype as lc_ctype,
         d.datlocprovider::text as locale_provider, d.datcollversion as collation_version,
         version() as version_text, current_user::text as role,
         coalesce((select rolsuper from pg_roles where rolname = current_user), false) as superuser,
         has_function_privilege('pg_control_system()', 'execute') as control,
         current_setting('block_size') as block_size
    from pg_database d where d.datname = current_database()`;

/** Reads the facts of the manifest about the source. */
export async function readSourceFacts(
  session: Session,
  options: Pick<DumpOptions, "profile">,
): Promise<SourceFacts> {
  const [row] = await session.query(FACTS);
  const [control] = row!.control
    ? await session.query("select system_identifier::text as id from pg_control_system()")
    : [];
  const settings: Record<string, string> = {};
  for (
    const name of ["lc_collate", "lc_ctype", "locale_provider", "collation_version", "block_size"]
  ) {
    if (row![name] !== null) settings[name] = String(row![name]);
  }
  return {
    systemIdentifier: control?.id ?? "unknown",
    database: row!.database,
    serverVersion: session.serverVersion,
    serverVersionText: row!.version_text,
    encoding: session.serverEncoding,
    sqlText: session.sqlText,
    profile: options.profile,
    readAs: { role: row!.role, superuser: row!.superuser },
    settings,
  };
}
