/**
 * The address of the storage that the settings name.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Settings } from "../core/settings.ts";
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
  /** The variable of the service that is usual for it. */
  setting: "ACCESS_KEY" | "SECRET_KEY";
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
    { variable: "AWS_ACCESS_KEY_ID", setting: "ACCESS_KEY" },
    { variable: "AWS_SECRET_ACCESS_KEY", setting: "SECRET_KEY" },
  ],
  gcs: [{ variable: "GOOGLE_CREDENTIALS", setting: "SECRET_KEY" }],
  azure: [
    { variable: "AZURE_STORAGE_ACCOUNT", setting: "ACCESS_KEY", optional: true },
    { variable: "AZURE_STORAGE_CONNECTION_STRING", setting: "SECRET_KEY" },
  ],
  supabase: [{ variable: "SUPABASE_STORAGE_KEY", setting: "SECRET_KEY" }],
};

/**
 * Of a bucket, that is of any kind but `local`.
 *
 * @throws `invalid_config` when the bucket, or the address of a Supabase project, is missing
 */
export function settingsAddress(
  { backupStorageType, backupStorageConfig }: Settings,
): SettingsAddress {
  const type = backupStorageType as BucketType;
  const { bucket, prefix, region, account, endpoint, accessKey, secretKey, storageClass } =
    backupStorageConfig;
  const { objectLock, legalHold } = backupStorageConfig;
  if (bucket === undefined) {
    const lacking = [
      "BACKUP_STORAGE_BUCKET",
      ...VARIABLES[type].filter(({ setting, optional }) =>
        !optional && { ACCESS_KEY: accessKey, SECRET_KEY: secretKey }[setting] === undefined
      ).map(({ setting }) => `BACKUP_STORAGE_${setting}`),
    ];
    throw missing(type, "bucket is", lacking.join(", "));
  }
  if (type === "supabase" && endpoint === undefined) {
    throw missing(type, "project is", "BACKUP_STORAGE_ENDPOINT to https://<ref>.supabase.co");
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
  const references = { ACCESS_KEY: accessKey, SECRET_KEY: secretKey };
  return {
    url: url.href,
    credentials: VARIABLES[type].map((each) => ({ ...each, reference: references[each.setting] })),
  };
}

function missing(type: string, what: string, variable: string): BackupError {
  return new BackupError("invalid_config", `Cannot use the ${type} storage: no ${what} set`, {
    hint: `Set ${variable}.`,
  });
}
