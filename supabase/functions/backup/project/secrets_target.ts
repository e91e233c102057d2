/**
 * Compares saved secrets with a project: which exist, which are otherwise, which are missing. Only contents
 * of the Vault can be written, and only by who holds their key; everything else is the person's to supply.
 *
 * @module
 */
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

/** The target's side of the comparison. */
interface Found {
  projectRef: string;
  digests: Map<string, string>;
  keys: Map<string, string | null>;
  /** Null when the API does not tell. */
  legacy: boolean | null;
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
  const secrets = has(SECRET_KINDS.variable) ? await listSecrets(api, signal) : [];
  const keys = has(SECRET_KINDS.apiKey) ? await listApiKeys(api, signal) : [];
  return {
    projectRef: api.projectRef,
    digests: new Map(secrets.map(({ name, digest }) => [name, digest])),
    keys: new Map(keys.map(({ type, name, hash }) => [`${type}/${name}`, hash])),
    legacy: has(SECRET_KINDS.legacyKeys) ? await readLegacyKeys(api, signal) : null,
  };
}

function planListed(item: SavedItem, found: Found | null): ItemStep {
  const { key } = item;
  if (found === null) {
    const why = "no token for the Management API is set (BACKUP_MANAGEMENT_TOKEN)";
    return { key, action: "by-hand", title: `${key} cannot be looked for: ${why}` };
  }
  if (key.startsWith(SECRET_KINDS.variable)) return planVariable(item, found);
  if (key.startsWith(SECRET_KINDS.apiKey)) return planKey(item, found);
  const enabled = item.facts.enabled === true;
  if (found.legacy === enabled) return { key, action: "keep", title: "legacy keys: as saved" };
  return {
    key,
    action: "by-hand",
    title: `legacy keys were ${enabled ? "accepted" : "switched off"} and are ` +
      `${enabled ? "switched off" : "accepted"} here: change it in the dashboard (API keys)`,
    difference: { from: found.legacy, to: enabled },
  };
}

function planVariable({ key, facts }: SavedItem, found: Found): ItemStep {
  const name = key.slice(SECRET_KINDS.variable.length);
  const digest = found.digests.get(name);
  const state = stateOf({ saved: String(facts.digest ?? ""), digest, facts, found });
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
  { saved, digest, facts, found }: {
    saved: string;
    digest: string | undefined;
    facts: SavedItem["facts"];
    found: Found;
  },
): "missing" | "differs" | "same" | "exists" {
  if (digest === undefined) return "missing";
  if (saved === "" || digest === "") return "exists";
  if (saved === digest) return "same";
  const comparable = facts.projectRef === found.projectRef || facts.digestForm === "sha256";
  return comparable ? "differs" : "exists";
}

function planKey({ key, facts }: SavedItem, found: Found): ItemStep {
  const name = `${facts.type}/${facts.name}`;
  if (!found.keys.has(name)) {
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
  const same = facts.hash !== null && facts.hash === found.keys.get(name);
  return {
    key,
    action: "keep",
    title: same
      ? `the key ${name} is the saved one`
      : `a key ${name} exists; it is another one than was saved, and whoever used that needs the new one`,
    difference: same ? "same" : "differs",
  };
}
