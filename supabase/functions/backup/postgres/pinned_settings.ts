/**
 * The settings under which a database is read and written.
 *
 * @module
 */
import type { Session } from "./session.ts";

/** What a text form of a value, or a definition that the server prints, may depend on. */
const SETTINGS: readonly [name: string, value: string, sinceVersion?: number][] = [
  ["search_path", ""],
  ["DateStyle", "ISO"],
  ["IntervalStyle", "postgres"],
  ["TimeZone", "UTC"],
  ["extra_float_digits", "3"],
  ["bytea_output", "hex"],
  ["xmloption", "content"],
  ["synchronize_seqscans", "off"],
  ["row_security", "off"],
  ["statement_timeout", "0"],
  ["lock_timeout", "0"],
  ["idle_in_transaction_session_timeout", "0"],
  ["idle_session_timeout", "0"],
  ["transaction_timeout", "0", 170000],
  ["standard_conforming_strings", "on"],
  ["escape_string_warning", "off"],
  ["client_min_messages", "warning"],
  ["check_function_bodies", "off"],
  ["lc_monetary", "C"],
  // Catalog queries look costly to the planner and are short: compiling them takes longer than running.
  ["jit", "off"],
];

/** Sets them for the rest of the session. */
export async function pinSettings(session: Session): Promise<void> {
  const list = SETTINGS.filter(([, , since = 0]) => session.serverVersion >= since)
    .map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', false)`);
  await session.execute(`SELECT ${list.join(", ")}`);
}

/**
 * Makes the server refuse to read views and foreign tables of users for the rest of the session, where it
 * can. Sequences cannot be locked: an owner who puts a view of the same name in one's place while it is
 * read would otherwise have their functions run with the rights of the reader (CVE-2024-7348).
 */
export async function refuseViewsOfUsers(session: Session): Promise<void> {
  // Minor releases before August 2024 lack the setting.
  await session.execute(`
    SELECT pg_catalog.set_config(s.name, 'view, foreign-table', false)
      FROM pg_catalog.pg_settings s WHERE s.name = 'restrict_nonsystem_relation_kind'`);
}
