/**
 * Rotation of an API key: make a new one, switch, delete the old one. Each step may be done again, because it
 * looks first for what an earlier try did.
 *
 * @module
 */
import { z } from "zod";
import { BackupError, toBackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import type { ManagementApi } from "./management_api.ts";
import { API_KEYS_PATH, listApiKeys, type ListedKey } from "./read_secrets.ts";
import type { RotationResult } from "./rotate_secrets.ts";

/** A key that takes another one's place. */
export interface KeyRotation {
  type: "publishable" | "secret";
  /** The key to replace, such as `default`. */
  name: string;
  /**
   * Names this rotation: the same id finds the key that an earlier try made. Lower-case letters and
   * digits, at most 20.
   */
  rotationId: string;
}

/**
 * Makes the key that is to take the old one's place, with the same claims. Both are valid until
 * {@linkcode disableOldKey}.
 *
 * @param give hands the new value to whoever switches to it; called each time this is called. Null: nobody
 * is given it, the value is never asked for, and whoever needs it reads it in the dashboard
 * @throws `not_found` when there is no such key to replace; the `management_*` codes; what `give` throws
 */
export async function createNewKey(
  api: ManagementApi,
  rotation: KeyRotation,
  { give, signal }: {
    give: ((key: { name: string; value: Secret }) => Promise<void>) | null;
    signal: AbortSignal;
  },
): Promise<RotationResult> {
  checkRotation(rotation);
  const keys = await listApiKeys(api, signal);
  const made = findNew(keys, rotation);
  const old = findOld(keys, rotation);
  if (made === undefined && old === undefined) throw noSuchKey(rotation);
  const key = made ?? await create(api, { old: old as ListedKey, rotation, signal });
  await give?.({ name: key.name, value: await reveal(api, { key, signal }) });
  const what = `the ${rotation.type} key ${rotation.name}`;
  return made === undefined
    ? { outcome: "done", said: `${key.name} was made to replace ${what}` }
    : { outcome: "already", said: `${key.name} was made before to replace ${what}` };
}

/**
 * Deletes the old key and gives its name to the new one, under which the platform hands it to functions.
 * From then on the old value opens nothing. Call it when everybody uses the new one.
 *
 * @throws `conflict` when there is no new key yet; the `management_*` codes
 */
export async function disableOldKey(
  api: ManagementApi,
  rotation: KeyRotation,
  { compromised, signal }: { compromised: boolean; signal: AbortSignal },
): Promise<RotationResult> {
  checkRotation(rotation);
  const keys = await listApiKeys(api, signal);
  const made = findNew(keys, rotation);
  if (made === undefined) {
    throw new BackupError(
      "conflict",
      `Cannot disable the ${rotation.type} key ${rotation.name}: nothing replaces it yet`,
      { hint: "Make the new key first, and let everybody use it." },
    );
  }
  const old = findOld(keys, rotation);
  if (old !== undefined) await remove(api, { id: old.id, compromised, signal });
  if (made.name !== rotation.name) {
    await api.patch(`${API_KEYS_PATH}/{id}`, {
      to: "rename the new API key",
      permission: "api_gateway_keys_write",
      params: { id: made.id },
      json: { name: rotation.name },
      answer: z.unknown(),
      sensitive: true,
      signal,
    });
  }
  const after = await listApiKeys(api, signal);
  const settled = findNew(after, rotation)?.name === rotation.name &&
    findOld(after, rotation) === undefined;
  if (!settled) {
    throw new BackupError(
      "management_malformed",
      `Cannot disable the ${rotation.type} key ${rotation.name}: afterwards it is still listed`,
      { hint: "Look at the project's API keys in the dashboard." },
    );
  }
  const what = `the old ${rotation.type} key ${rotation.name}`;
  return old === undefined && made.name === rotation.name
    ? { outcome: "already", said: `${what} was deleted before` }
    : { outcome: "done", said: `${what} is deleted, the new one has its name` };
}

/** What names the new key for good: its own name changes, its description does not. */
function markOf({ rotationId, name }: KeyRotation): string {
  return `rotation ${rotationId} of ${name}`;
}

function findNew(keys: readonly ListedKey[], rotation: KeyRotation): ListedKey | undefined {
  const mark = markOf(rotation);
  return keys.find(({ type, description }) => type === rotation.type && description === mark);
}

function findOld(keys: readonly ListedKey[], rotation: KeyRotation): ListedKey | undefined {
  const made = findNew(keys, rotation);
  return keys.find((key) =>
    key !== made && key.type === rotation.type && key.name === rotation.name
  );
}

const CREATED = z.object({ id: z.string(), name: z.string() });

async function create(
  api: ManagementApi,
  { old, rotation, signal }: { old: ListedKey; rotation: KeyRotation; signal: AbortSignal },
): Promise<ListedKey> {
  const name = newName(rotation);
  try {
    await api.post(API_KEYS_PATH, {
      to: "create an API key",
      permission: "api_gateway_keys_write",
      query: { reveal: false },
      json: {
        type: rotation.type,
        name,
        description: markOf(rotation),
        ...(old.template === null ? {} : { secret_jwt_template: old.template }),
      },
      answer: CREATED,
      sensitive: true,
      signal,
    });
  } catch (error) {
    // It may have been made all the same: then the list has it.
    if (toBackupError(error).code !== "management_unavailable") throw error;
    const made = findNew(await listApiKeys(api, signal), rotation);
    if (made === undefined) throw error;
    return made;
  }
  const made = findNew(await listApiKeys(api, signal), rotation);
  if (made !== undefined) return made;
  throw new BackupError(
    "management_malformed",
    `Cannot create the API key ${name}: afterwards it is not listed`,
    { hint: "Look at the project's API keys in the dashboard." },
  );
}

async function reveal(
  api: ManagementApi,
  { key, signal }: { key: ListedKey; signal: AbortSignal },
): Promise<Secret> {
  const { api_key: value } = await api.get(`${API_KEYS_PATH}/{id}`, {
    to: "read the new API key",
    permission: "api_gateway_keys_read",
    params: { id: key.id },
    query: { reveal: true },
    answer: z.object({ api_key: z.string().min(1) }),
    sensitive: true,
    signal,
  });
  return new Secret(value);
}

/** @param id of the old key; that it is gone already is no failure */
async function remove(
  api: ManagementApi,
  { id, compromised, signal }: { id: string; compromised: boolean; signal: AbortSignal },
): Promise<void> {
  try {
    await api.delete(`${API_KEYS_PATH}/{id}`, {
      to: "delete the old API key",
      permission: "api_gateway_keys_write",
      params: { id },
      query: { reveal: false, was_compromised: compromised, reason: "rotating_key" },
      answer: z.unknown(),
      sensitive: true,
      signal,
    });
  } catch (error) {
    if (toBackupError(error).code !== "management_not_found") throw error;
  }
}

/** By the API's rule for names: 4 to 64 lower-case letters, digits and underscores. */
function newName({ name, rotationId }: KeyRotation): string {
  return `${name.slice(0, 64 - rotationId.length - 2)}_r${rotationId}`;
}

function checkRotation({ type, name, rotationId }: KeyRotation): void {
  const isSound = ["publishable", "secret"].includes(type) &&
    /^[a-z_][a-z0-9_]{1,63}$/.test(name) &&
    /^[a-z0-9]{1,20}$/.test(rotationId);
  if (isSound) return;
  throw new BackupError(
    "invalid_request",
    "Cannot rotate an API key: it is not named as keys are",
    {
      hint:
        "Give type publishable or secret, the key's name, and an id of up to 20 letters and digits.",
    },
  );
}

function noSuchKey({ type, name }: KeyRotation): BackupError {
  return new BackupError("not_found", `Cannot replace the ${type} key ${name}: there is none`, {
    hint: "Look at the project's API keys in the dashboard.",
  });
}
