/**
 * Storages by address:
 *
 * - `file:///directory`
 * - `s3://bucket/prefix?endpoint=…&region=…&pathStyle=…`
 * - `gs://bucket/prefix?endpoint=…`
 * - `azure://container/prefix?account=…&endpoint=…`
 * - `supabase://bucket/prefix?endpoint=https://<ref>.supabase.co`
 *
 * S3, Google and Azure take `storageClass`, `lockMode`, `lockDays` and `legalHold` besides.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { LOCK_MODES, STORAGE_CLASSES, type StorageType } from "../core/storage_settings.ts";
import { readAzureAccess } from "./azure_access.ts";
import { azureStorage } from "./azure.ts";
import { gcsStorage } from "./gcs.ts";
import { readServiceAccount } from "./gcs_token.ts";
import { loadedOnUse } from "./loaded_on_use.ts";
import { localStorage } from "./local.ts";
import { checkName } from "./names.ts";
import { retryStorage } from "./retry.ts";
import { isRegion, isSpecialBucket } from "./s3_names.ts";
import type { ObjectLock, Storage } from "./storage.ts";
import { supabaseStorage } from "./supabase.ts";

/** Looks a variable of the environment up. */
export type Environment = (name: string) => string | undefined;

/** See {@linkcode openStorage}. */
export interface OpenOptions {
  /** Called with every address of a server that will be connected to; throws where it may not be. */
  allow?: (endpoint: string) => void;
}

/** An address taken apart. */
interface Address {
  bucket: string;
  /** With its final slash; empty for none. */
  prefix: string;
  parameters: URLSearchParams;
  env: Environment;
  allow: (endpoint: string) => void;
}

const KEEPING = ["storageClass", "lockMode", "lockDays", "legalHold"];

/** What an address may say, and what is made of it. */
const KINDS: Readonly<
  Record<string, { parameters: readonly string[]; open: (address: Address) => Storage }>
> = {
  "s3:": { parameters: ["endpoint", "region", "pathStyle", ...KEEPING], open: openS3 },
  "gs:": { parameters: ["endpoint", ...KEEPING], open: openGcs },
  "azure:": { parameters: ["account", "endpoint", ...KEEPING], open: openAzure },
  "supabase:": { parameters: ["endpoint"], open: openSupabase },
};

/**
 * Opens the storage at an address; nothing is asked of it yet. Credentials come from the environment:
 *
 * - S3: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`
 * - Google: `GOOGLE_CREDENTIALS`, the JSON of a service account's key
 * - Azure: `AZURE_STORAGE_CONNECTION_STRING`, `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN`, and
 *   `AZURE_STORAGE_ACCOUNT`
 * - Supabase: `SUPABASE_STORAGE_KEY`, a secret key of the project
 *
 * @throws `invalid_config` when the address or the credentials cannot be used
 */
export function openStorage(url: string, env: Environment, options: OpenOptions = {}): Storage {
  let address: URL;
  try {
    address = new URL(url);
  } catch {
    throw invalid("it is not an address");
  }
  if (address.username || address.password) throw invalid("credentials do not belong into it");
  if (address.protocol === "file:") return openLocal(address);
  const kind = KINDS[address.protocol];
  if (kind === undefined) throw invalid(`the kind ${address.protocol} is unknown`);
  const { searchParams: parameters } = address;
  for (const name of parameters.keys()) {
    if (!kind.parameters.includes(name)) throw invalid(`the parameter ${name} is unknown`);
  }
  if (!address.host) throw invalid("the bucket is missing");
  const prefix = decodedPath(address).replace(/^\/+|\/+$/g, "");
  if (prefix) checkName(prefix);
  const { allow = () => {} } = options;
  const place = { bucket: address.host, prefix: prefix && `${prefix}/`, parameters, env, allow };
  return retryStorage(kind.open(place));
}

function openLocal(address: URL): Storage {
  if (address.host) throw invalid("a directory has three slashes, as in file:///backups");
  const path = decodedPath(address);
  if (path === "/") throw invalid("the root directory is no place for backups");
  return localStorage(path);
}

function decodedPath({ pathname }: URL): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    throw invalid("a % in its path begins no character; a % itself is written %25");
  }
}

function openS3({ bucket, prefix, parameters, env, allow }: Address): Storage {
  const endpoint = endpointOf(parameters, allow) ?? endpointFrom(env);
  const accessKeyId = readKey(env, "AWS_ACCESS_KEY_ID", "the access key id");
  const secretAccessKey = env("AWS_SECRET_ACCESS_KEY")?.trim();
  if (!accessKeyId || !secretAccessKey) {
    throw noCredentials("S3", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }
  if (endpoint === null && isSpecialBucket(bucket)) {
    throw invalid("directory buckets, Outposts and their access points are not supported");
  }
  const region = parameters.get("region") || env("AWS_REGION")?.trim() || "us-east-1";
  if (!isRegion(region)) throw invalid("its region is no name, as eu-central-1");
  const sessionToken = readKey(env, "AWS_SESSION_TOKEN", "the session token");
  const pathStyle = readBoolean(parameters, "pathStyle");
  const options = {
    ...{ bucket, prefix, endpoint, region },
    pathStyle: pathStyle ?? endpoint !== null,
    credentials: {
      accessKeyId,
      secretAccessKey: new Secret(secretAccessKey),
      sessionToken: sessionToken ? new Secret(sessionToken) : null,
    },
    storageClass: classOf(parameters, "s3"),
    lock: lockOf(parameters),
  };
  return loadedOnUse({ location: `s3://${bucket}/${prefix}`, lock: options.lock }, async () => {
    const { s3Storage } = await import("./s3.ts");
    return s3Storage(options);
  });
}

/** The endpoint that the variables of Amazon's tools name; null where they name none. */
function endpointFrom(env: Environment): string | null {
  const endpoint = env("AWS_ENDPOINT_URL_S3")?.trim() || env("AWS_ENDPOINT_URL")?.trim();
  if (endpoint) {
    if (/^https?:\/\/[^/]/i.test(endpoint) && URL.canParse(endpoint)) return endpoint;
    throw invalid("AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is no web address, as https://host");
  }
  for (const name of ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"]) {
    if (env(name)?.trim().toLowerCase() !== "true") continue;
    throw invalid(`${name} is not followed; say the server as endpoint=https://s3-…`);
  }
  return null;
}

/** A key without the blanks that files and terminals put around it. It goes into headers as it is. */
function readKey(env: Environment, name: string, what: string): string | undefined {
  const key = env(name)?.trim();
  if (key === undefined || /^[\x21-\x7e]*$/.test(key)) return key;
  throw new BackupError("invalid_config", `Cannot open the S3 storage: ${what} has other signs`, {
    hint: `Letters, digits and signs of ASCII are allowed. Look at ${name}, or BACKUP_STORAGE_….`,
  });
}

function openGcs({ bucket, prefix, parameters, env, allow }: Address): Storage {
  const endpoint = endpointOf(parameters, allow);
  const key = env("GOOGLE_CREDENTIALS");
  if (!key) throw noCredentials("Google", "GOOGLE_CREDENTIALS or GOOGLE_APPLICATION_CREDENTIALS");
  const account = readServiceAccount(new Secret(key), { endpoint });
  const storageClass = classOf(parameters, "gcs");
  return gcsStorage({ bucket, prefix, endpoint, account, storageClass, lock: lockOf(parameters) });
}

function openAzure({ bucket, prefix, parameters, env, allow }: Address): Storage {
  const secret = env("AZURE_STORAGE_CONNECTION_STRING") ?? env("AZURE_STORAGE_KEY") ??
    env("AZURE_STORAGE_SAS_TOKEN");
  if (!secret) {
    throw noCredentials(
      "Azure",
      "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN",
    );
  }
  const access = readAzureAccess(new Secret(secret), {
    account: parameters.get("account") ?? env("AZURE_STORAGE_ACCOUNT") ?? null,
    endpoint: endpointOf(parameters, () => {}),
  });
  allow(access.endpoint);
  const tier = classOf(parameters, "azure");
  return azureStorage({ container: bucket, prefix, access, tier, lock: lockOf(parameters) });
}

function openSupabase({ bucket, prefix, parameters, env, allow }: Address): Storage {
  const endpoint = endpointOf(parameters, allow);
  if (endpoint === null) throw invalid("the project's address is missing (endpoint=…)");
  const key = env("SUPABASE_STORAGE_KEY");
  if (!key) throw noCredentials("Supabase", "SUPABASE_STORAGE_KEY");
  return supabaseStorage({ endpoint, bucket, prefix, key: new Secret(key) });
}

function endpointOf(
  parameters: URLSearchParams,
  allow: (endpoint: string) => void,
): string | null {
  const endpoint = parameters.get("endpoint");
  if (endpoint === null) return null;
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    throw invalid("its endpoint is no web address, as https://host");
  }
  allow(endpoint);
  return endpoint;
}

function classOf(parameters: URLSearchParams, type: StorageType): string | null {
  const storageClass = parameters.get("storageClass");
  const classes = STORAGE_CLASSES[type];
  if (storageClass === null || classes.includes(storageClass)) return storageClass;
  throw invalid(`storageClass ${storageClass} is none of ${classes.join(", ")}`);
}

function lockOf(parameters: URLSearchParams): ObjectLock | null {
  const mode = parameters.get("lockMode") as ObjectLock["mode"];
  const days = parameters.get("lockDays");
  const legalHold = readBoolean(parameters, "legalHold") ?? false;
  if (mode === null && days === null) return legalHold ? { mode, days: 0, legalHold } : null;
  if (mode === null || !LOCK_MODES.includes(mode)) {
    throw invalid(`lockMode ${mode ?? "is missing, it"} is none of ${LOCK_MODES.join(", ")}`);
  }
  if (!(Number(days) > 0)) throw invalid("lockDays is a number of days");
  return { mode, days: Number(days), legalHold };
}

function readBoolean(parameters: URLSearchParams, name: string): boolean | null {
  const text = parameters.get(name);
  if (text === null) return null;
  if (text !== "true" && text !== "false") throw invalid(`${name} is true or false`);
  return text === "true";
}

function noCredentials(kind: string, variables: string): BackupError {
  const message = `Cannot open the ${kind} storage: credentials are missing`;
  return new BackupError("invalid_config", message, { hint: `Set ${variables}.` });
}

function invalid(why: string): BackupError {
  return new BackupError("invalid_config", `Cannot open the storage: ${why}`, {
    hint: "Use file:///directory, s3://bucket/prefix?endpoint=…&region=…&pathStyle=true, " +
      "gs://bucket/prefix, azure://container/prefix?account=… or " +
      "supabase://bucket/prefix?endpoint=https://<ref>.supabase.co.",
  });
}
