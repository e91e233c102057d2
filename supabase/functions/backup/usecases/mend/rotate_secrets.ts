/**
 * Rotates what can have leaked: the project's API keys, its legacy keys, the database's password. Only what
 * is named; a second call with the same key goes on where the first one ended. No value is returned, logged
 * or stored by this service: new API keys are read in the dashboard, a new password lies in the Vault.
 *
 * @module
 */
import { toHex, utf8 } from "../../core/bytes.ts";
import { BackupError, toBackupError } from "../../core/errors.ts";
import { Secret } from "../../core/secret.ts";
import {
  createNewKey,
  disableLegacyKeys,
  disableOldKey,
  type ManagementApi,
  type PasswordPlace,
  rotateDatabasePassword,
} from "../../project/mod.ts";
import type { Caller, Deps } from "../deps.ts";
import { recordAudit } from "../jobs/record_audit.ts";
import { updateConfig } from "../service/update_config.ts";

/** What may be named: a secret or publishable key by its name, all legacy keys, the database's password. */
export const ROTATION_NAME =
  /^((api_key|publishable_key):[a-z_][a-z0-9_]{1,63}|legacy_keys|database_password)$/;

/** What is to be rotated. */
export interface RotationWish {
  /** Each of the form {@linkcode ROTATION_NAME}. */
  names: readonly string[];
  /** The same for every try of one rotation. */
  key: string;
  signal: AbortSignal;
}

/** What became of one name. */
export interface Rotated {
  name: string;
  /** `already`: an earlier try had done it. */
  outcome: "done" | "already";
  said: string;
  /** What a person must do now, a line each. */
  byHand: string[];
}

/**
 * Rotates all that is named, one after the other; one that fails does not stand against the others.
 *
 * @throws `invalid_config` without a token; the error of the first that failed, with what the others came to
 */
export async function rotateSecrets(
  deps: Deps,
  caller: Caller,
  { names, key, signal }: RotationWish,
): Promise<Rotated[]> {
  const api = requireApi(deps);
  const rotationId = await shortId(key);
  const rotated: Rotated[] = [];
  const failed: { name: string; error: BackupError }[] = [];
  for (const name of inOrder(names)) {
    signal.throwIfAborted();
    try {
      const one = await rotate(deps, caller, { api, name, rotationId, signal });
      rotated.push({ name, ...one });
      await audit(deps, caller, { name, outcome: "completed", details: { said: one.said } });
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toBackupError(thrown);
      failed.push({ name, error });
      await audit(deps, caller, { name, outcome: "failed", details: { code: error.code } });
    }
  }
  const [first] = failed;
  if (first === undefined) return rotated;
  throw new BackupError(first.error.code, `Cannot rotate ${first.name}: ${first.error.message}`, {
    ...(first.error.hint === undefined ? {} : { hint: first.error.hint }),
    details: {
      rotated: rotated.map(({ name, said }) => ({ name, said })),
      failed: failed.map(({ name, error }) => ({ name, code: error.code })),
    },
    cause: first.error,
  });
}

function requireApi(deps: Deps): ManagementApi {
  const access = deps.project.management();
  if (access.api !== null) return access.api;
  throw new BackupError("invalid_config", `Cannot rotate secrets: ${access.withoutApi}`, {
    hint: "Rotate them in the dashboard, or set BACKUP_MANAGEMENT_TOKEN.",
  });
}

/** The password last: with it gone this worker opens no more connections to the database. */
function inOrder(names: readonly string[]): string[] {
  return [...new Set(names)].sort((a, b) =>
    Number(a === "database_password") - Number(b === "database_password")
  );
}

interface Rotation {
  api: ManagementApi;
  name: string;
  rotationId: string;
  signal: AbortSignal;
}

function rotate(deps: Deps, caller: Caller, one: Rotation): Promise<Omit<Rotated, "name">> {
  if (!ROTATION_NAME.test(one.name)) {
    throw new BackupError("invalid_request", "Cannot rotate something of an unknown name", {
      hint: "Name api_key:<name>, publishable_key:<name>, legacy_keys or database_password.",
    });
  }
  if (one.name === "database_password") return rotatePassword(deps, one);
  return one.name === "legacy_keys"
    ? rotateLegacy(deps, caller, one)
    : rotateKey(deps, caller, one);
}

async function rotateKey(
  deps: Deps,
  caller: Caller,
  { api, name: full, rotationId, signal }: Rotation,
): Promise<Omit<Rotated, "name">> {
  const [kind, name = ""] = full.split(":");
  const type = kind === "api_key" ? "secret" : "publishable";
  const rotation = { type, name, rotationId } as const;
  await createNewKey(api, rotation, { give: null, signal });
  const result = await disableOldKey(api, rotation, { compromised: true, signal });
  const byHand = [
    `give the new ${type} key ${name} (dashboard, API keys) to all who used the old one`,
    ...(type === "secret"
      ? [
        "call init once with the new key, so that the clock in the database uses it",
        ...await refuseLegacyKeyHere(deps, caller),
      ]
      : []),
  ];
  return { ...result, byHand };
}

async function rotateLegacy(
  deps: Deps,
  caller: Caller,
  { api, signal }: Rotation,
): Promise<Omit<Rotated, "name">> {
  const result = await disableLegacyKeys(api, signal);
  return { ...result, byHand: await refuseLegacyKeyHere(deps, caller) };
}

async function rotatePassword(
  deps: Deps,
  { api, rotationId, signal }: Rotation,
): Promise<Omit<Rotated, "name">> {
  const name = `supabase_database_password_${rotationId}`;
  const place: PasswordPlace = {
    find: () => findInVault(deps, name),
    keep: (password) => deps.state.keepVaultSecret(name, password),
  };
  const result = await rotateDatabasePassword(api, { place, signal });
  const byHand = [
    `give the new password to all who connect with the old one; read it in the SQL editor: select ` +
    `decrypted_secret from vault.decrypted_secrets where name = '${name}'; then delete it there`,
  ];
  return { ...result, byHand };
}

/** @throws `target_unfit` without a Vault, before anything is changed */
async function findInVault(deps: Deps, name: string): Promise<Secret | null> {
  try {
    const value = await deps.state.vaultSecret(name);
    return value === null ? null : new Secret(value);
  } catch (cause) {
    if (toBackupError(cause).code !== "not_found") throw cause;
    throw new BackupError(
      "target_unfit",
      "Cannot keep a new password of the database: it has no Vault",
      { hint: "Nothing was changed. create extension if not exists supabase_vault;", cause },
    );
  }
}

/**
 * The environment goes on holding the legacy key after the platform has stopped to accept it, so this
 * service must stop by a setting of its own.
 */
async function refuseLegacyKeyHere(deps: Deps, caller: Caller): Promise<string[]> {
  const { settings } = await deps.settings();
  if (!settings.allowLegacyServiceRoleKey) return [];
  try {
    await updateConfig(deps, caller, {
      updates: { allowLegacyServiceRoleKey: false },
      dryRun: false,
    });
    return [];
  } catch (error) {
    return [
      "this service still accepts the legacy key: set BACKUP_ALLOW_LEGACY_KEY=false " +
      `(${toBackupError(error).message})`,
    ];
  }
}

async function audit(
  deps: Deps,
  caller: Caller,
  { name, outcome, details }: {
    name: string;
    outcome: "completed" | "failed";
    details: Record<string, unknown>;
  },
): Promise<void> {
  await recordAudit(deps, caller, { action: "rotate", subject: name, outcome, details });
}

/** Names the rotation at the platform: 16 digits that tell nothing. */
async function shortId(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(utf8(key)));
  return toHex(new Uint8Array(digest)).slice(0, 16);
}
