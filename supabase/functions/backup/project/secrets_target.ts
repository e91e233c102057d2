/**
 * Compares saved secrets with a project: which exist, which are otherwise, which are missing. Only contents
 * of the Vault can be written, and only by who holds their key; everything else is the person's to supply.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import type { ItemStep, ItemTarget, OpenContent, SavedItem } from "../core/items.ts";
import type { ManagementApi } from "./management_api.ts";
import { listApiKeys, listSecrets, readLegacyKeys } from "./read_secrets.ts";
import { SECRET_KINDS } from "./secrets_source.ts";
import type { Connect } from "./settings_session.ts";
import type { VaultSeal } from "./vault_seal.ts";
import { applyVault, planVault } from "./vault_target.ts";

/** What secrets are compared with. */
export interface SecretsTargetOptions {
  /** Null without a token. */
  api: ManagementApi | null;
  connect: Connect | null;
  /** Opens contents of the Vault; null: they are only named. */
  vaultSeal: VaultSeal | null;
  /** Reads a saved content: a plan compares contents of the Vault. */
  open: OpenContent;
}

/** Makes the target. Nothing is read yet. */
export function secretsTarget(options: SecretsTargetOptions): ItemTarget {
  return {
    plan: (items, signal) => planSecrets(options, { items, signal }),
    async apply({ action, key, title }, { item, open }) {
      if (action === "keep") return { key, outcome: "kept" };
      if (action === "by-hand") return { key, outcome: "by-hand", checked: title };
      return await applyVault({ ...options, open }, item);
    },
  };
}

/** The target's side of the comparison; an error in place of what could not be looked at. */
interface Found {
  projectRef: string;
  digests: Map<string, string> | BackupError;
  keys: Map<string, string | null> | BackupError;
  /** Null when the API does not tell. */
  legacy: boolean | null | BackupError;
}

async function planSecrets(
  options: SecretsTargetOptions,
  { items, signal }: { items: readonly SavedItem[]; signal: AbortSignal },
): Promise<ItemStep[]> {
  const vault = items.filter(({ key }) => key.startsWith(SECRET_KINDS.vault));
  const others = items.filter(({ key }) => !key.startsWith(SECRET_KINDS.vault));
  const steps: ItemStep[] = [];
  if (others.length > 0) {
    const found = options.api === null ? null : await lookAt(options.api, { others, signal });
    steps.push(...others.map((item) => planListed(item, found)));
  }
  if (vault.length > 0) steps.push(...await planVault(options, { items: vault, signal }));
  return steps;
}

/** Asks only for what there is something to compare with. */
async function lookAt(
  api: ManagementApi,
  { others, signal }: { others: readonly SavedItem[]; signal: AbortSignal },
): Promise<Found> {
  const has = (begin: string) => others.some(({ key }) => key.startsWith(begin));
  const none = <T>(value: T) => Promise.resolve(value);
  const secrets = has(SECRET_KINDS.variable) ? listSecrets(api, signal) : none([]);
  const digests = await orRefusal(secrets);
  const keys = await orRefusal(has(SECRET_KINDS.apiKey) ? listApiKeys(api, signal) : none([]));
  const legacy = has(SECRET_KINDS.legacyKeys) ? readLegacyKeys(api, signal) : none(null);
  return {
    projectRef: api.projectRef,
    digests: digests instanceof BackupError
      ? digests
      : new Map(digests.map(({ name, digest }) => [name, digest])),
    keys: keys instanceof BackupError
      ? keys
      : new Map(keys.map(({ type, name, hash }) => [`${type}/${name}`, hash])),
    legacy: await orRefusal(legacy),
  };
}

/** What was asked for, or the refusal where it spares the other parts. */
async function orRefusal<T>(asked: Promise<T>): Promise<T | BackupError> {
  try {
    return await asked;
  } catch (error) {
    const failure = toBackupError(error);
    const spares = ["management_forbidden", "management_refused", "management_malformed"];
    if (spares.includes(failure.code)) return failure;
    throw error;
  }
}

function planListed(item: SavedItem, found: Found | null): ItemStep {
  const { key, facts } = item;
  const unknown = (why: string): ItemStep => {
    return { key, action: "by-hand", title: `${key} cannot be compared: ${why}` };
  };
  if (found === null) {
    return unknown("no token for the Management API is set (BACKUP_MANAGEMENT_TOKEN)");
  }
  const { digests, keys, legacy, projectRef } = found;
  if (key.startsWith(SECRET_KINDS.variable)) {
    if (digests instanceof BackupError) return unknown(digests.message);
    return planVariable(item, { digests, projectRef });
  }
  if (key.startsWith(SECRET_KINDS.apiKey)) {
    return keys instanceof BackupError ? unknown(keys.message) : planKey(item, keys);
  }
  if (legacy instanceof BackupError) return unknown(legacy.message);
  const wanted = facts.enabled === true;
  if (legacy === null || legacy === wanted) {
    return { key, action: "keep", title: "legacy keys: as saved, or no switch any more" };
  }
  const [was, is] = wanted ? ["accepted", "switched off"] : ["switched off", "accepted"];
  return {
    key,
    action: "by-hand",
    title: `legacy keys were ${was} and are ${is} here: change it in the dashboard (API keys)`,
    difference: { from: legacy, to: wanted },
  };
}

function planVariable(
  { key, facts }: SavedItem,
  found: { digests: Map<string, string>; projectRef: string },
): ItemStep {
  const name = key.slice(SECRET_KINDS.variable.length);
  const digest = found.digests.get(name);
  const state = stateOf({ digest, facts, projectRef: found.projectRef });
  const used = Array.isArray(facts.usedBy) && facts.usedBy.length > 0
    ? ` (the backup service uses it: ${facts.usedBy.join(", ")})`
    : "";
  const how = `supabase secrets set ${name}=…`;
  switch (state) {
    case "missing":
      return {
        key,
        action: "by-hand",
        title: `${name} is missing: ${how}${used}`,
        difference: state,
      };
    case "differs":
      return {
        key,
        action: "by-hand",
        title: `${name} has another value than when it was saved; if it should not: ${how}${used}`,
        difference: state,
      };
    case "same":
      return { key, action: "keep", title: `${name} has the saved value`, difference: state };
    default:
      return {
        key,
        action: "keep",
        title: `${name} exists; whether its value is the saved one cannot be told${used}`,
        difference: state,
      };
  }
}

/** Digests of two projects can be compared when they are made of the value alone. */
function stateOf(
  { digest, facts, projectRef }: {
    digest: string | undefined;
    facts: SavedItem["facts"];
    projectRef: string;
  },
): "missing" | "differs" | "same" | "exists" {
  if (digest === undefined) return "missing";
  if (facts.digest === "" || digest === "") return "exists";
  if (facts.digest === digest) return "same";
  const comparable = facts.projectRef === projectRef || facts.digestForm === "sha256";
  return comparable ? "differs" : "exists";
}

function planKey({ key, facts }: SavedItem, keys: Map<string, string | null>): ItemStep {
  const name = `${facts.type}/${facts.name}`;
  if (!keys.has(name)) {
    return {
      key,
      action: "by-hand",
      title: facts.type === "legacy"
        ? `the legacy key ${facts.name} is not accepted here`
        : `the ${facts.type} key ${facts.name} is missing: create it in the dashboard (API keys) and ` +
          "give it to those who used the saved one; its value will be another",
      difference: "missing",
    };
  }
  const same = facts.hash !== null && facts.hash === keys.get(name);
  return {
    key,
    action: "keep",
    title: same
      ? `the key ${name} is the saved one`
      : `a key ${name} exists; it is another one than was saved, and whoever used that needs the new one`,
    difference: same ? "same" : "differs",
  };
}
