/**
 * What a migration of the service's own tables is.
 *
 * @module
 */

/** One migration; its file is `supabase/migrations/<version>_<name>.sql`. All of it can run twice. */
export interface Migration {
  /** When it was written, as digits: migrations are applied in this order. */
  version: string;
  name: string;
  sql: string;
}
