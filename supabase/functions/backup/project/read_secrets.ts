/**
 * What the Management API tells of secrets: names, digests, times. Never values.
 *
 * @module
 */
import { z } from "zod";
import { toBackupError } from "../core/errors.ts";
import type { ManagementApi } from "./management_api.ts";

/** A variable of the project's functions. */
export interface ListedSecret {
  name: string;
  /** As the API calls it `value`; what it is a digest of, and how, it does not document. */
  digest: string;
  updatedAt: string | null;
}

const SECRETS = z.array(z.object({
  name: z.string(),
  value: z.string(),
  updated_at: z.string().nullish(),
}));

/** What the API gives in place of a value. Anything else could be the value. */
const DIGEST = /^[0-9a-f]{64}$/i;

/** Every secret of the project's functions, in order of the names. @throws the `management_*` codes */
export async function listSecrets(
  api: ManagementApi,
  signal: AbortSignal,
): Promise<ListedSecret[]> {
  const found = await api.get("/v1/projects/{ref}/secrets", {
    to: "list the secrets",
    permission: "edge_functions_secrets_read",
    answer: SECRETS,
    sensitive: true,
    signal,
  });
  return found
    .map(({ name, value, updated_at }) => ({
      name,
      digest: DIGEST.test(value) ? value.toLowerCase() : "",
      updatedAt: updated_at ?? null,
    }))
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

/** A key of the project's gateway. */
export interface ListedKey {
  id: string;
  name: string;
  type: "legacy" | "publishable" | "secret";
  /** First characters, by which a person knows it. */
  prefix: string | null;
  description: string | null;
  hash: string | null;
  updatedAt: string | null;
  /** Claims of the tokens that a secret key stands for. */
  template: { [claim: string]: unknown } | null;
}

const KEY = z.object({
  id: z.string().nullish(),
  name: z.string(),
  type: z.enum(["legacy", "publishable", "secret"]).nullish(),
  prefix: z.string().nullish(),
  description: z.string().nullish(),
  hash: z.string().nullish(),
  updated_at: z.string().nullish(),
  secret_jwt_template: z.record(z.string(), z.unknown()).nullish(),
});

/** Where keys are listed and made. */
export const API_KEYS_PATH = "/v1/projects/{ref}/api-keys";

/** Every key, without its value. @throws the `management_*` codes */
export async function listApiKeys(api: ManagementApi, signal: AbortSignal): Promise<ListedKey[]> {
  const found = await api.get(API_KEYS_PATH, {
    to: "list the API keys",
    permission: "api_gateway_keys_read",
    query: { reveal: false },
    answer: z.array(KEY),
    sensitive: true,
    signal,
  });
  return found.map(toListedKey).sort((a, b) =>
    `${a.type}/${a.name}/${a.id}` < `${b.type}/${b.name}/${b.id}` ? -1 : 1
  );
}

/** `sb_secret_` and six characters: enough to know a key by, too little to guess it. */
const PREFIX_LENGTH = 16;

function toListedKey(key: z.infer<typeof KEY>): ListedKey {
  return {
    id: key.id ?? key.name,
    name: key.name,
    type: key.type ?? "legacy",
    prefix: key.prefix?.slice(0, PREFIX_LENGTH) ?? null,
    description: key.description ?? null,
    hash: key.hash ?? null,
    updatedAt: key.updated_at ?? null,
    template: key.secret_jwt_template ?? null,
  };
}

/**
 * Whether keys that are JWTs are accepted; null where the API has no such switch, which its document
 * announces to remove.
 *
 * @throws the `management_*` codes
 */
export async function readLegacyKeys(
  api: ManagementApi,
  signal: AbortSignal,
): Promise<boolean | null> {
  try {
    const { enabled } = await api.get(`${API_KEYS_PATH}/legacy`, {
      to: "see whether legacy keys are accepted",
      permission: "api_gateway_keys_read",
      answer: z.object({ enabled: z.boolean() }),
      signal,
    });
    return enabled;
  } catch (error) {
    if (toBackupError(error).code === "management_not_found") return null;
    throw error;
  }
}
