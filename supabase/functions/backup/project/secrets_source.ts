/**
 * A project's secrets as items: names, digests, times and references. Values only of the Vault, only when a
 * key of their own is set, and only sealed with it.
 *
 * @module
 */
import { type BackupError, toBackupError } from "../core/errors.ts";
import {
  compareKeys,
  type ItemFacts,
  type ItemFailure,
  type ItemPage,
  type ItemSource,
  type ItemSourceFacts,
  type ListedItem,
  type ReadItem,
} from "../core/items.ts";
import type { Json } from "../core/part.ts";
import type { ManagementApi } from "./management_api.ts";
import { probeProject } from "./probe_project.ts";
import {
  listApiKeys,
  type ListedKey,
  type ListedSecret,
  listSecrets,
  readLegacyKeys,
} from "./read_secrets.ts";
import { type DigestForm, digestForm } from "./secret_digest.ts";
import { type Connect, withSession } from "./settings_session.ts";
import { hasVault, listVault, readVaultSecret, type VaultSecret } from "./vault_rows.ts";
import type { VaultSeal } from "./vault_seal.ts";

/** What secrets are read from. */
export interface SecretsSourceOptions {
  projectRef: string | null;
  /** Null without a token: then only the Vault is listed. */
  api: ManagementApi | null;
  /** Why there is none, for the report. */
  withoutApi?: string;
  /** Opens a session on the project's database, which is closed after use; null when it has none. */
  connect: Connect | null;
  /** A variable of this process: where it has one that is listed, the form of digests can be told. */
  variable(name: string): string | undefined;
  /** References that the settings hold, by the setting: `{"encryptionKey": "env:BACKUP_ENCRYPTION_KEY"}`. */
  references: Readonly<Record<string, string>>;
  /** Seals contents of the Vault; null: they stay where they are. */
  vaultSeal: VaultSeal | null;
}

/** Kinds of items, which are also what their keys begin with. */
export const SECRET_KINDS = {
  apiKey: "api-key/",
  variable: "function/",
  legacyKeys: "legacy-keys",
  vault: "vault/",
} as const;

/** The content of a Vault's item. */
export const SEALED_CONTENT = "sealed";

/** Secrets of the Vault that are listed at a time. */
const VAULT_PAGE = 500;

/** Makes the source. Nothing is read yet. */
export function secretsSource(options: SecretsSourceOptions): ItemSource {
  return new SecretsSource(options);
}

interface Listed {
  items: ListedItem[];
  missing: { what: string; failure: ItemFailure }[];
}

class SecretsSource implements ItemSource {
  readonly type = "secrets";
  readonly #options: SecretsSourceOptions;
  #listed: Promise<Listed> | undefined;

  constructor(options: SecretsSourceOptions) {
    this.#options = options;
  }

  async describe(signal: AbortSignal): Promise<ItemSourceFacts> {
    const { api, connect, projectRef, vaultSeal, withoutApi } = this.#options;
    const { missing } = await this.#list(signal);
    const vault = connect === null ? "no-database" : await this.#tryVault();
    const skipped = [
      ...(api === null
        ? [{
          what: "secrets of functions, API keys",
          reason: withoutApi ?? "no token for the Management API is set",
        }]
        : []),
      ...(vault === "no-database" ? [{ what: "the Vault", reason: "no database is set" }] : []),
      ...(vaultSeal === null && vault === "there"
        ? [{ what: "contents of the Vault", reason: "no key for them is set (BACKUP_VAULT_KEY)" }]
        : []),
    ];
    return {
      projectRef,
      facts: { vaultKeyId: vaultSeal?.keyId ?? null },
      missing: typeof vault === "string" ? missing : [...missing, vault],
      skipped,
    };
  }

  async page(after: string | null, signal: AbortSignal): Promise<ItemPage> {
    const { connect } = this.#options;
    const vault = SECRET_KINDS.vault;
    const hasMore = connect !== null && await this.#tryVault() === "there";
    if (after === null) {
      const { items } = await this.#list(signal);
      if (items.length > 0 || !hasMore) return { items, next: hasMore ? vault : null };
    }
    if (connect === null) return { items: [], next: null };
    const last = after === null || after === vault ? null : after.slice(vault.length);
    const rows = await withSession(
      connect,
      (session) => listVault(session, { after: last, limit: VAULT_PAGE }),
    );
    const items = rows.map((row) => this.#vaultItem(row));
    return { items, next: rows.length < VAULT_PAGE ? null : items.at(-1)?.key ?? null };
  }

  async read(item: ListedItem, signal: AbortSignal): Promise<ReadItem | null> {
    const { connect, vaultSeal } = this.#options;
    if (!item.key.startsWith(SECRET_KINDS.vault) || connect === null || vaultSeal === null) {
      return { contents: [] };
    }
    const id = String(item.facts.id);
    const value = await withSession(connect, (session) => readVaultSecret(session, id), {
      views: true,
    });
    signal.throwIfAborted();
    if (value === null) return null;
    const body = await vaultSeal.seal(value.reveal(), item.key);
    return { contents: [{ name: SEALED_CONTENT, body }] };
  }

  #list(signal: AbortSignal): Promise<Listed> {
    this.#listed ??= this.#listThroughApi(signal);
    this.#listed.catch(() => this.#listed = undefined);
    return this.#listed;
  }

  async #listThroughApi(signal: AbortSignal): Promise<Listed> {
    const { api } = this.#options;
    const all: Listed = { items: [], missing: [] };
    if (api === null) return all;
    const refused = await probeProject(api, signal);
    if (refused !== null) {
      all.missing.push({ what: "secrets of functions, API keys", failure: toFailure(refused) });
      return all;
    }
    const parts: [what: string, read: () => Promise<ListedItem[]>][] = [
      ["secrets of functions", async () => this.#variableItems(await listSecrets(api, signal))],
      ["API keys", async () => keyItems(await listApiKeys(api, signal), api.projectRef)],
      ["whether legacy keys are accepted", () => legacyItems(api, signal)],
    ];
    for (const [what, read] of parts) {
      try {
        all.items.push(...await read());
      } catch (error) {
        const failure = toBackupError(error);
        if (!isOfPartAlone(failure)) throw error;
        all.missing.push({ what, failure: toFailure(failure) });
      }
    }
    all.items.sort((a, b) => compareKeys(a.key, b.key));
    return all;
  }

  async #variableItems(secrets: readonly ListedSecret[]): Promise<ListedItem[]> {
    const { projectRef, variable } = this.#options;
    let form: DigestForm | null = null;
    for (const { name, digest } of secrets) {
      const value = variable(name);
      if (value === undefined || digest === "") continue;
      form ??= await digestForm(digest, { value, projectRef: projectRef ?? "" });
    }
    return secrets.map(({ name, digest, updatedAt }) =>
      listed(`${SECRET_KINDS.variable}${name}`, {
        digest,
        digestForm: form,
        projectRef,
        updatedAt,
        reference: `env:${name}`,
        usedBy: this.#usedBy(`env:${name}`),
      })
    );
  }

  /** The same time of change and the same key mean the same content, which is then not opened again. */
  #vaultItem({ id, name, description, createdAt, updatedAt }: VaultSecret): ListedItem {
    const { vaultSeal, projectRef } = this.#options;
    const key = `${SECRET_KINDS.vault}${name ?? id}`;
    const reference = name === null ? null : `vault://${name}`;
    const facts = {
      ...{ id, name, description, createdAt, updatedAt, projectRef, reference },
      usedBy: reference === null ? [] : this.#usedBy(reference),
      keyId: vaultSeal?.keyId ?? null,
    };
    const revision = vaultSeal === null ? null : `${id} ${updatedAt} ${vaultSeal.keyId}`;
    return { ...listed(key, facts), revision };
  }

  /** Settings that refer to a secret. */
  #usedBy(reference: string): string[] {
    return Object.entries(this.#options.references)
      .filter(([, other]) => other === reference).map(([setting]) => setting).sort();
  }

  /** Whether the Vault can be listed, or why not. */
  async #tryVault(): Promise<"there" | "none" | { what: string; failure: ItemFailure }> {
    const { connect } = this.#options;
    if (connect === null) return "none";
    try {
      return await withSession(connect, async (session) => {
        if (!await hasVault(session)) return "none";
        await listVault(session, { after: null, limit: 1 });
        return "there";
      });
    } catch (error) {
      const failure = toBackupError(error);
      if (failure.code !== "insufficient_privilege") throw error;
      return { what: "the Vault", failure: toFailure(failure) };
    }
  }
}

function keyItems(keys: readonly ListedKey[], projectRef: string): ListedItem[] {
  const items = new Map<string, ListedItem>();
  for (const { id, name, type, prefix, description, hash, updatedAt, template } of keys) {
    const key = `${SECRET_KINDS.apiKey}${type}/${name}`;
    const facts = {
      ...{ id, name, type, prefix, description, hash, updatedAt, projectRef },
      template: template as Json,
    };
    const unique = items.has(key) ? `${key}/${id}` : key;
    items.set(unique, listed(unique, facts));
  }
  return [...items.values()];
}

async function legacyItems(api: ManagementApi, signal: AbortSignal): Promise<ListedItem[]> {
  const enabled = await readLegacyKeys(api, signal);
  if (enabled === null) return [];
  return [listed(SECRET_KINDS.legacyKeys, { enabled, projectRef: api.projectRef })];
}

function listed(key: string, facts: ItemFacts): ListedItem {
  return { key, revision: null, facts, sizeBytes: 0 };
}

/** What spares the other parts. */
function isOfPartAlone({ code }: BackupError): boolean {
  return [
    "management_forbidden",
    "management_malformed",
    "management_not_found",
    "management_refused",
  ].includes(code);
}

function toFailure({ code, message, hint }: BackupError): ItemFailure {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}
