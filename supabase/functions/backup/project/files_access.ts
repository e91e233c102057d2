/**
 * How files are reached, as the environment says it: a value that may be sent to a thread, which then opens
 * the same source for itself.
 *
 * @module
 */
import type { Environment } from "../core/environment.ts";
import { BackupError } from "../core/errors.ts";
import type { Hashing } from "../core/hashing.ts";
import type { ItemSource } from "../core/items.ts";
import { Secret } from "../core/secret.ts";
import type { Session } from "../postgres/session.ts";
import type { Fetch } from "./direct_fetch.ts";
import { filesSource } from "./files_source.ts";
import { s3Source } from "./s3_source.ts";
import { s3SourceSettings, s3SourceVariables } from "./s3_source_settings.ts";
import { StorageApi } from "./storage_api.ts";

/** A bucket of S3 by the variables that name it, or Storage. Survives a structured clone, secrets included. */
export type FilesAccess = { bucket: Record<string, string> } | StorageAccess;

/** Supabase Storage. */
export interface StorageAccess {
  /** `https://<ref>.supabase.co/storage/v1` */
  url: string;
  key: string;
}

/** What the environment names. @throws `invalid_config` without an address or a key of Storage */
export function filesAccess(environment: Environment): FilesAccess {
  const bucket = s3SourceVariables(environment.variable);
  return bucket === null ? storageAccess(environment) : { bucket };
}

/** @throws `invalid_config` without an address or a key of Storage */
export function storageAccess(
  { secretKeys, serviceRoleKey, variable }: Pick<
    Environment,
    "secretKeys" | "serviceRoleKey" | "variable"
  >,
): StorageAccess {
  const project = variable("SUPABASE_URL");
  const key = secretKeys[0]?.key ?? serviceRoleKey;
  if (project !== undefined && key !== null && key !== undefined) {
    return { url: `${project.replace(/\/$/, "")}/storage/v1`, key: key.reveal() };
  }
  const missing = project === undefined ? "SUPABASE_URL" : "SUPABASE_SECRET_KEYS";
  throw new BackupError("invalid_config", `Cannot reach Storage: ${missing} is not set`, {
    hint: "The platform sets it for its functions; elsewhere set it to the project's.",
  });
}

/** What a host has better than the runtime. */
export interface ReadingTools {
  fetch?: Fetch;
  hashing?: Hashing;
}

/** The API of Storage. */
export function openStorageApi(
  { url, key }: StorageAccess,
  options: { fetch?: Fetch } = {},
): StorageApi {
  return new StorageApi({ url, key: new Secret(key), ...options });
}

/**
 * The source. A bucket has no use for a database, so that it is opened only for Storage.
 *
 * @throws `invalid_config` naming a variable of the bucket that is missing or wrong
 */
export async function openFilesSource(
  access: FilesAccess,
  { projectRef, openDatabase, tools = {} }: {
    projectRef: string | null;
    /** A session on the project's database; null when there is none. */
    openDatabase: () => Promise<Session | null>;
    tools?: ReadingTools;
  },
): Promise<ItemSource> {
  if ("bucket" in access) {
    const { bucket } = access;
    return s3Source({ ...s3SourceSettings((name) => bucket[name])!, ...tools });
  }
  const { fetch, ...rest } = tools;
  const api = openStorageApi(access, fetch === undefined ? {} : { fetch });
  return filesSource({ api, projectRef, database: await openDatabase(), ...rest });
}
