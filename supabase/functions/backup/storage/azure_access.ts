/**
 * What opens an account of Azure: its key, a shared access signature, or a connection string of either.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";

/** The account's address and how to enter. */
export interface AzureAccess {
  /** Address of the account's blobs, without a slash at the end. */
  endpoint: string;
  /** Null where a signature says it. */
  account: string | null;
  kind: "key" | "signature";
  /** The key in base64, or the signature without its question mark. */
  secret: Secret;
}

/** What the settings say besides the secret. */
export interface AzurePlace {
  account: string | null;
  endpoint: string | null;
}

/**
 * Tells what a secret is and where it belongs. What the settings name goes before what a connection string
 * names.
 *
 * @throws `invalid_config` when something is missing or is none of the three; never quotes it
 */
export function readAzureAccess(secret: Secret, place: AzurePlace): AzureAccess {
  const text = secret.reveal().trim();
  const said = /(^|;)\s*(AccountName|BlobEndpoint|SharedAccessSignature)=/i.test(text)
    ? readConnectionString(text)
    : {};
  const account = place.account ?? said.AccountName ?? null;
  const suffix = said.EndpointSuffix ?? "core.windows.net";
  const protocol = said.DefaultEndpointsProtocol ?? "https";
  const endpoint = place.endpoint ?? said.BlobEndpoint ??
    (account === null ? null : `${protocol}://${account}.blob.${suffix}`);
  if (endpoint === null) throw wrong("the account's name is missing");
  const signature = said.SharedAccessSignature ?? (/(^|[?&])sig=/.test(text) ? text : null);
  const common = { endpoint: endpoint.replace(/\/+$/, ""), account };
  if (signature !== null) {
    return { ...common, kind: "signature", secret: new Secret(signature.replace(/^\?/, "")) };
  }
  const key = said.AccountKey ?? text;
  if (!/^[A-Za-z0-9+/]{20,}={0,2}$/.test(key)) {
    throw wrong("the secret is no account key, no signature (sig=…) and no connection string");
  }
  if (account === null) throw wrong("the account's name is missing");
  return { ...common, kind: "key", secret: new Secret(key) };
}

function readConnectionString(text: string): Record<string, string> {
  const pairs = text.split(";").map((pair) => pair.trim()).filter((pair) => pair !== "");
  return Object.fromEntries(pairs.map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  }));
}

function wrong(why: string): BackupError {
  return new BackupError("invalid_config", `Cannot use the Azure storage: ${why}`, {
    hint:
      "Set BACKUP_STORAGE_ACCOUNT, and BACKUP_STORAGE_SECRET_KEY to the account's key, a shared " +
      "access signature or a connection string.",
  });
}
