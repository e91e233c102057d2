/**
 * Restores contents of the Vault that were sealed with a key of their own.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { ItemResult, ItemStep, OpenContent, SavedItem } from "../core/items.ts";
import { Secret } from "../core/secret.ts";
import type { Session } from "../postgres/session.ts";
import { readContent } from "./saved_document.ts";
import { SEALED_CONTENT, SECRET_KINDS } from "./secrets_source.ts";
import { type Connect, withSession } from "./settings_session.ts";
import { compareVaultSecret, hasVault, listVault, writeVaultSecret } from "./vault_rows.ts";
import type { VaultSeal } from "./vault_seal.ts";

/** What contents of the Vault are compared with and written to. */
export interface VaultTarget {
  connect: Connect | null;
  /** Null: secrets are only named. */
  vaultSeal: VaultSeal | null;
  open: OpenContent;
}

/** What would be done with the Vault's secrets. */
export async function planVault(
  { connect, vaultSeal, open }: VaultTarget,
  { items, signal }: { items: readonly SavedItem[]; signal: AbortSignal },
): Promise<ItemStep[]> {
  const byHand = (why: string) =>
    items.map(({ key }): ItemStep => ({ key, action: "by-hand", title: `${key}: ${why}` }));
  if (connect === null) return byHand("there is no database to look into");
  return await withSession(connect, async (session) => {
    if (!await hasVault(session)) {
      return byHand("the database has no Vault: create extension supabase_vault");
    }
    const names = await namesIn(session);
    const steps: ItemStep[] = [];
    for (const item of items) {
      signal.throwIfAborted();
      const exists = names.has(item.key.slice(SECRET_KINDS.vault.length));
      const sealed = item.contents.some(({ name }) => name === SEALED_CONTENT);
      if (!sealed || vaultSeal === null) {
        steps.push(planUnsealed(item, { exists, sealed }));
        continue;
      }
      const value = await unseal(vaultSeal, { item, open });
      const { found } = await compareVaultSecret(session, { ...named(item), value });
      steps.push(planSealed(item, found));
    }
    return steps;
  }, { views: true });
}

async function namesIn(session: Session): Promise<Set<string>> {
  const names = new Set<string>();
  const limit = 1000;
  for (let after: string | null = null;;) {
    const rows = await listVault(session, { after, limit });
    for (const { id, name } of rows) names.add(name ?? id);
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) return names;
    after = last.name ?? last.id;
  }
}

function planUnsealed(
  { key }: SavedItem,
  { exists, sealed }: { exists: boolean; sealed: boolean },
): ItemStep {
  if (exists) return { key, action: "keep", title: `${key} exists; its value is not compared` };
  const why = sealed
    ? "set BACKUP_VAULT_KEY to the key that sealed it, and plan again"
    : "its content is not in the backup: select vault.create_secret('…', '<name>')";
  return { key, action: "by-hand", title: `${key} is missing: ${why}`, difference: "missing" };
}

function planSealed(
  { key, facts }: SavedItem,
  found: "same" | "different" | "missing",
): ItemStep {
  if (found === "same") return { key, action: "keep", title: `${key} has the saved value` };
  if (found === "missing") {
    const hazards = facts.name === null
      ? ["a secret without a name gets a new id, and what refers to the old id does not find it"]
      : [];
    return {
      key,
      action: "create",
      title: `create ${key}`,
      difference: found,
      ...(hazards.length === 0 ? {} : { hazards }),
    };
  }
  return {
    key,
    action: "replace",
    title: `change ${key} to the saved value`,
    difference: found,
    hazards: ["the present value is lost unless you keep it elsewhere"],
  };
}

/**
 * Makes or changes one secret, and reads it again. May be called again.
 *
 * @throws `key_wrong`, `object_altered`, `target_unfit`, `restore_mismatch`, the `database_*` codes
 */
export async function applyVault(
  { connect, vaultSeal, open }: VaultTarget,
  item: SavedItem,
): Promise<ItemResult> {
  const { key } = item;
  if (connect === null || vaultSeal === null) {
    throw new BackupError(
      "target_unfit",
      `Cannot restore ${key}: its key or the database is gone`,
      {
        hint: "Set BACKUP_VAULT_KEY and the database's address, then restore again.",
      },
    );
  }
  const value = await unseal(vaultSeal, { item, open });
  return await withSession(connect, async (session) => {
    const secret = { ...named(item), value };
    const before = await compareVaultSecret(session, secret);
    if (before.found === "same") return { key, outcome: "kept" };
    const description = String(item.facts.description ?? "");
    await writeVaultSecret(session, { ...secret, id: before.id, description });
    if ((await compareVaultSecret(session, secret)).found !== "same") {
      throw new BackupError(
        "restore_mismatch",
        `Cannot restore ${key}: afterwards the Vault gives another value`,
        { hint: "Somebody else may have changed it: look at the plan again." },
      );
    }
    return { key, outcome: "done", checked: "it was read again and compared" };
  }, { views: true });
}

function named({ facts }: SavedItem): { id: string; name: string | null } {
  return { id: String(facts.id), name: typeof facts.name === "string" ? facts.name : null };
}

async function unseal(
  seal: VaultSeal,
  { item, open }: { item: SavedItem; open: OpenContent },
): Promise<Secret> {
  const sealed = await readContent(open, { item, name: SEALED_CONTENT });
  return new Secret(await seal.unseal(sealed, item.key));
}
