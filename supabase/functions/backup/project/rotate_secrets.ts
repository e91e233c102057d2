/**
 * Rotation of what can have leaked beside API keys: legacy keys, the database's password. Each only when it is
 * asked for by name, each such that it may be done again.
 *
 * @module
 */
import { z } from "zod";
import { toBase64 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import type { ManagementApi } from "./management_api.ts";
import { API_KEYS_PATH, listApiKeys, listSecrets, readLegacyKeys } from "./read_secrets.ts";
import { digestForm } from "./secret_digest.ts";

/** What a step did. */
export interface RotationResult {
  /** `already`: an earlier try had done it. */
  outcome: "done" | "already";
  /** For people, without any value. */
  said: string;
}

/**
 * Switches off the keys that are JWTs. Refused while the project has no keys of the new kind: nothing could
 * reach it any more.
 *
 * @throws `conflict` when new keys are missing; the `management_*` codes
 */
export async function disableLegacyKeys(
  api: ManagementApi,
  signal: AbortSignal,
): Promise<RotationResult> {
  const accepted = await readLegacyKeys(api, signal);
  if (accepted === null) {
    return { outcome: "already", said: "the API has no switch for legacy keys any more" };
  }
  if (!accepted) return { outcome: "already", said: "legacy keys were switched off before" };
  const types = new Set((await listApiKeys(api, signal)).map(({ type }) => type));
  const lacking = (["publishable", "secret"] as const).filter((type) => !types.has(type));
  if (lacking.length > 0) {
    throw new BackupError(
      "conflict",
      `Cannot switch off legacy keys: the project has no ${lacking.join(" and no ")} key`,
      {
        hint: "Create the new keys in the dashboard (API keys), and let everybody use them first.",
      },
    );
  }
  await api.put(`${API_KEYS_PATH}/legacy`, {
    to: "switch off legacy keys",
    permission: "api_gateway_keys_write",
    query: { enabled: false },
    answer: z.unknown(),
    signal,
  });
  if (await readLegacyKeys(api, signal)) {
    throw new BackupError(
      "management_malformed",
      "Cannot switch off legacy keys: afterwards they are still accepted",
      { hint: "Switch them off in the dashboard (API keys)." },
    );
  }
  return { outcome: "done", said: "legacy keys are switched off" };
}

/**
 * Gives a variable of the functions a new value, such as the key that {@linkcode createNewKey} made.
 *
 * @throws `restore_mismatch` when it is not listed afterwards; the `management_*` codes
 */
export async function setVariable(
  api: ManagementApi,
  { name, value, signal }: { name: string; value: Secret; signal: AbortSignal },
): Promise<RotationResult> {
  const look = async () => (await listSecrets(api, signal)).find((secret) => secret.name === name);
  const before = await look();
  const known = { value: value.reveal(), projectRef: api.projectRef };
  if (before !== undefined && await digestForm(before.digest, known) !== null) {
    return { outcome: "already", said: `${name} had the value before` };
  }
  await api.post("/v1/projects/{ref}/secrets", {
    to: `set ${name}`,
    permission: "edge_functions_secrets_write",
    json: [{ name, value: value.reveal() }],
    answer: z.unknown(),
    repeatable: true,
    sensitive: true,
    signal,
  });
  const after = await look();
  const isChanged = after?.digest !== before?.digest || after?.updatedAt !== before?.updatedAt;
  if (after === undefined || !isChanged) {
    throw new BackupError(
      "restore_mismatch",
      `Cannot set ${name}: afterwards it has no new value`,
      {
        hint: `Set it with: supabase secrets set ${name}=…`,
      },
    );
  }
  return { outcome: "done", said: `${name} has the new value` };
}

/** Where a new password is kept while it is being set, and from where a person takes it. */
export interface PasswordPlace {
  /** The password of an earlier try of the same rotation; null when there was none. */
  find(): Promise<Secret | null>;
  /** Keeps a new one. When it returns the password cannot be lost any more. */
  keep(password: Secret): Promise<void>;
}

/** Bytes of randomness in a password: 43 characters without any that an address must escape. */
const PASSWORD_BYTES = 32;

/**
 * Sets a new password of the database. It is kept before it is set, so that no failure leaves a database
 * whose password nobody knows; a second try sets the one that was kept.
 *
 * @throws the `management_*` codes, what the place throws
 */
export async function rotateDatabasePassword(
  api: ManagementApi,
  { place, signal }: { place: PasswordPlace; signal: AbortSignal },
): Promise<RotationResult> {
  const before = await place.find();
  const password = before ?? newPassword();
  if (before === null) await place.keep(password);
  await api.patch("/v1/projects/{ref}/database/password", {
    to: "set the database's password",
    permission: "database_config_write",
    json: { password: password.reveal() },
    answer: z.unknown(),
    sensitive: true,
    signal,
  });
  return {
    outcome: "done",
    said: "the database has a new password; clients with the old one must be given it",
  };
}

function newPassword(): Secret {
  const bytes = crypto.getRandomValues(new Uint8Array(PASSWORD_BYTES));
  return new Secret(
    toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""),
  );
}
