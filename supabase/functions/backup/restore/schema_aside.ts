/**
 * Gives a schema's name to a new, empty schema for a while: see `docs/decisions`, restore beside.
 *
 * @module
 */
import { quoteIdentifier } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";

const ASIDE = "supabase_backup_live";

/** Renames the live schema away, if there is one, and makes an empty one in its place. */
export async function moveAside(
  session: Session,
  beside: { schema: string; schemaIsLive: boolean },
) {
  const schema = quoteIdentifier(beside.schema);
  if (beside.schemaIsLive) {
    await session.execute(`ALTER SCHEMA ${schema} RENAME TO ${quoteIdentifier(ASIDE)}`);
  }
  await session.execute(`CREATE SCHEMA ${schema}`);
}

/** Gives the new schema its name, and the live one its own again. */
export async function moveBack(
  session: Session,
  beside: { schema: string; intoSchema: string; schemaIsLive: boolean },
) {
  const schema = quoteIdentifier(beside.schema);
  await session.execute(`ALTER SCHEMA ${schema} RENAME TO ${quoteIdentifier(beside.intoSchema)}`);
  if (beside.schemaIsLive) {
    await session.execute(`ALTER SCHEMA ${quoteIdentifier(ASIDE)} RENAME TO ${schema}`);
  }
}
