/**
 * Reads and writes Supabase Vault through a session. Values go no further than to whoever asked for one.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import type { Session } from "../postgres/session.ts";

/** What the Vault tells of a secret without opening it. */
export interface VaultSecret {
  id: string;
  /** Null for one that is known by its id alone. */
  name: string | null;
  description: string;
  createdAt: string;
  updatedAt: string;
}

/** Whether the database has a Vault. */
export async function hasVault(session: Session): Promise<boolean> {
  const [found] = await session.query(
    "select pg_catalog.to_regclass('vault.secrets') is not null as there",
  );
  return found?.there === true;
}

/** Secrets in order of their names, some at a time. @param page.after the last name of the page before */
export async function listVault(
  session: Session,
  { after, limit }: { after: string | null; limit: number },
): Promise<VaultSecret[]> {
  const rows = await session.query(
    `select id::text as id, name, coalesce(description, '') as description,
        to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at,
        to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as updated_at
      from vault.secrets
      where $1::text is null or coalesce(name, id::text) collate "C" > $1
      order by coalesce(name, id::text) collate "C", id limit ${limit}`,
    [after],
  );
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    description: row.description,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
}

/** The value of a secret; null when it is gone. @throws `insufficient_privilege`, `target_unfit` */
export async function readVaultSecret(session: Session, id: string): Promise<Secret | null> {
  refuseInClear(session);
  const [row] = await session.query(
    "select decrypted_secret as value from vault.decrypted_secrets where id = $1::uuid",
    [id],
  );
  return row === undefined || row.value === null ? null : new Secret(row.value);
}

/**
 * How a value stands to the Vault: the same as there, otherwise there, or missing. A secret without a name
 * that was made anew has another id, and is known by its value.
 */
export async function compareVaultSecret(
  session: Session,
  { id, name, value }: { id: string; name: string | null; value: Secret },
): Promise<{ found: "same" | "different" | "missing"; id: string | null }> {
  refuseInClear(session);
  // One that the Vault cannot open, for want of the root key that sealed it, raises an error here.
  const [row] = await session.query(
    `select id::text as id, decrypted_secret is not distinct from $1 as same
      from vault.decrypted_secrets
      where case when $2::text is not null then name = $2
        else id = $3::uuid or (name is null and decrypted_secret = $1) end
      order by id = $3::uuid desc limit 1`,
    [value.reveal(), name, id],
  );
  if (row === undefined) return { found: "missing", id: null };
  return { found: row.same === true ? "same" : "different", id: row.id };
}

/** Makes a secret, or changes the one of this id. */
export async function writeVaultSecret(
  session: Session,
  { id, name, description, value }: {
    id: string | null;
    name: string | null;
    description: string;
    value: Secret;
  },
): Promise<void> {
  refuseInClear(session);
  try {
    if (id === null) {
      await session.query("select vault.create_secret($1, $2, $3)", [
        value.reveal(),
        name,
        description,
      ]);
    } else {
      await session.query("select vault.update_secret($1::uuid, $2, $3, $4)", [
        id,
        value.reveal(),
        name,
        description,
      ]);
    }
  } catch (error) {
    const { code, hint } = toBackupError(error);
    // The statement's own message may quote what it was given.
    throw new BackupError(code, `Cannot write the Vault's ${name ?? "unnamed secret"}`, {
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

function refuseInClear(session: Session): void {
  if (!session.inClear) return;
  throw new BackupError(
    "target_unfit",
    "Cannot move values of the Vault: the connection is not encrypted",
    {
      hint: "Add sslmode=require to the database's address.",
    },
  );
}
