/**
 * The address of the storage that the settings name.
 *
 * @module
 */
import { settingsAt } from "../core/destinations.ts";
import { BackupError } from "../core/errors.ts";
import type { Settings } from "../core/settings.ts";
import { storageFieldName } from "../core/settings_variables.ts";
import type { StorageType } from "../core/storage_settings.ts";

/** An address for `openStorage`, and where its credentials are. */
export interface SettingsAddress {
  url: string;
  credentials: readonly Credential[];
}

/** A credential by reference. */
export interface Credential {
  /** As `openStorage` asks for it. */
  variable: string;
  reference: string | undefined;
  /** The field of the settings that refers to it. */
  field: "accessKey" | "secretKey";
  /** Whether the storage can do without. */
  optional?: boolean;
}

type BucketType = Exclude<StorageType, "local">;

const SCHEMES: Record<BucketType, string> = {
  s3: "s3",
  gcs: "gs",
  azure: "azure",
  supabase: "supabase",
};

/** Names by which the parts of a kind's credentials are asked for. */
const VARIABLES: Record<BucketType, readonly Omit<Credential, "reference">[]> = {
  s3: [
    { variable: "AWS_ACCESS_KEY_ID", field: "accessKey" },
    { variable: "AWS_SECRET_ACCESS_KEY", field: "secretKey" },
  ],
  gcs: [{ variable: "GOOGLE_CREDENTIALS", field: "secretKey" }],
  azure: [
    { variable: "AZURE_STORAGE_ACCOUNT", field: "accessKey", optional: true },
    { variable: "AZURE_STORAGE_CONNECTION_STRING", field: "secretKey" },
  ],
  supabase: [{ variable: "SUPABASE_STORAGE_KEY", field: "secretKey" }],
};

/**
 * Of a bucket, that is of any kind but `local`.
 *
 * @param options `destination`: that one's address instead of the primary storage's
 * @throws `invalid_config` when the bucket, or the address of a Supabase project, is missing
 */
export function settingsAddress(
  settings: Settings,
  { destination }: { destination?: string | undefined } = {},
): SettingsAddress {
  const { backupStorageType, backupStorageConfig: config } = settingsAt(settings, destination);
  const type = backupStorageType as BucketType;
  const { bucket, prefix, region, account, endpoint, storageClass, objectLock, legalHold } = config;
  const named = (field: keyof typeof config) => storageFieldName(field, destination);
  if (bucket === undefined) {
    const lacking = [
      named("bucket"),
      ...VARIABLES[type].filter(({ field, optional }) => !optional && config[field] === undefined)
        .map(({ field }) => named(field)),
    ];
    throw missing(type, "bucket is", lacking.join(", "));
  }
  if (type === "supabase" && endpoint === undefined) {
    throw missing(type, "project is", `${named("endpoint")} to https://<ref>.supabase.co`);
  }
  const url = new URL(`${SCHEMES[type]}://${bucket}/${prefix ?? ""}`);
  const parameters: Record<string, string | undefined> = {
    ...(type === "s3" ? { region: region ?? "us-east-1" } : {}),
    ...(type === "azure" ? { account } : {}),
    endpoint,
    storageClass,
    lockMode: objectLock?.mode,
    lockDays: objectLock?.days.toString(),
    legalHold: legalHold ? "true" : undefined,
  };
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) url.searchParams.set(name, value);
  }
  return {
    url: url.href,
    credentials: VARIABLES[type].map((each) => ({ ...each, reference: config[each.field] })),
  };
}

function missing(type: string, what: string, variable: string): BackupError {
  return new BackupError("invalid_config", `Cannot use the ${type} storage: no ${what} set`, {
    hint: `Set ${variable}.`,
  });
}
