/**
 * Storages by address: `file:///directory` and `s3://bucket/prefix?endpoint=…&region=…&pathStyle=…`.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { localStorage } from "./local.ts";
import { checkName } from "./names.ts";
import { retryStorage } from "./retry.ts";
import { s3Storage } from "./s3.ts";
import type { Storage } from "./storage.ts";

/** Looks a variable of the environment up. */
export type Environment = (name: string) => string | undefined;

const S3_PARAMETERS = ["endpoint", "region", "pathStyle"];

/**
 * Opens the storage at an address; nothing is asked of it yet. S3 credentials come from the
 * environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
 *
 * @throws `invalid_config` when the address or the credentials cannot be used
 */
export function openStorage(url: string, env: Environment): Storage {
  let address: URL;
  try {
    address = new URL(url);
  } catch {
    throw invalid("it is not an address");
  }
  if (address.username || address.password) throw invalid("credentials do not belong into it");
  if (address.protocol === "file:") return openLocal(address);
  if (address.protocol === "s3:") return retryStorage(openS3(address, env));
  throw invalid(`the kind ${address.protocol} is unknown`);
}

function openLocal(address: URL): Storage {
  if (address.host) throw invalid("a directory has three slashes, as in file:///backups");
  const path = decodeURIComponent(address.pathname);
  if (path === "/") throw invalid("the root directory is no place for backups");
  return localStorage(path);
}

function openS3(address: URL, env: Environment): Storage {
  const { searchParams } = address;
  for (const name of searchParams.keys()) {
    if (!S3_PARAMETERS.includes(name)) throw invalid(`the parameter ${name} is unknown`);
  }
  const prefix = decodeURIComponent(address.pathname).replace(/^\/+|\/+$/g, "");
  if (prefix) checkName(prefix);
  if (!address.host) throw invalid("the bucket is missing");
  const endpoint = searchParams.get("endpoint") ?? env("AWS_ENDPOINT_URL_S3") ?? null;
  const accessKeyId = env("AWS_ACCESS_KEY_ID");
  const secretAccessKey = env("AWS_SECRET_ACCESS_KEY");
  if (!accessKeyId || !secretAccessKey) {
    throw new BackupError("invalid_config", "Cannot open the S3 storage: credentials are missing", {
      hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    });
  }
  const sessionToken = env("AWS_SESSION_TOKEN");
  const pathStyle = searchParams.get("pathStyle");
  if (pathStyle !== null && pathStyle !== "true" && pathStyle !== "false") {
    throw invalid("pathStyle is true or false");
  }
  return s3Storage({
    bucket: address.host,
    prefix: prefix && `${prefix}/`,
    region: searchParams.get("region") ?? env("AWS_REGION") ?? "us-east-1",
    endpoint,
    pathStyle: pathStyle === null ? endpoint !== null : pathStyle === "true",
    credentials: {
      accessKeyId,
      secretAccessKey: new Secret(secretAccessKey),
      sessionToken: sessionToken ? new Secret(sessionToken) : null,
    },
  });
}

function invalid(why: string): BackupError {
  return new BackupError("invalid_config", `Cannot open the storage: ${why}`, {
    hint: "Use file:///directory or s3://bucket/prefix?endpoint=…&region=…&pathStyle=true.",
  });
}
