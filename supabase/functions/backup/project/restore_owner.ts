/**
 * The owner and the times of a restored object: the API always makes them its own, so they are written
 * into the row, and only for who asks for it.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { ItemFacts } from "../core/items.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import { textFact } from "./object_facts.ts";
import type { ObjectAddress } from "./object_types.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Writes and reads them back. @throws `insufficient_privilege`, `database_*`, `files_refused` */
export async function restoreOwner(
  session: Session,
  { bucket, name }: ObjectAddress,
  facts: ItemFacts,
): Promise<void> {
  const owner = textFact(facts, "owner");
  const values: Record<string, string | null> = {
    owner_id: owner,
    // The older column, which some policies still read, holds nothing but the ids of users.
    owner: owner !== null && UUID.test(owner) ? owner : null,
    created_at: textFact(facts, "createdAt"),
    updated_at: textFact(facts, "updatedAt"),
  };
  const changes = Object.entries(values).filter(([, value]) => value !== null) as [
    string,
    string,
  ][];
  if (changes.length === 0) return;
  const list = changes.map(([column, value]) => `${column} = ${quoteLiteral(value)}`);
  const where = `bucket_id = ${quoteLiteral(bucket)} AND name = ${quoteLiteral(name)}`;
  // One message, so one transaction: a trigger would set the time of change to now.
  await session.execute(
    `SET LOCAL session_replication_role = replica;
     UPDATE storage.objects SET ${list.join(", ")} WHERE ${where}`,
  );
  const same = changes.map(([column, value]) => `${column} = ${quoteLiteral(value)}`).join(" AND ");
  const found = await session.query(`SELECT 1 FROM storage.objects WHERE ${where} AND ${same}`);
  if (found.length === 1) return;
  throw new BackupError(
    "files_refused",
    `Cannot restore the owner of ${bucket}/${name}: its row does not hold what was written`,
    { hint: "The object itself is restored. See which triggers storage.objects has." },
  );
}
