/**
 * The settings of the place where backups are kept, whatever its kind.
 *
 * @module
 */
import { z } from "zod";

/** Where a secret is, never the secret: `env:NAME` or `vault://name`. */
export const secretReference = z.string().regex(
  /^(env:[A-Z_][A-Z0-9_]{0,255}|vault:\/\/[A-Za-z0-9_.-]{1,255})$/,
  { error: "must be a reference: env:NAME or vault://name, never the value itself", abort: true },
);

/**
 * A reference to a credential of storage. Its value is sent to the address that the settings name, so a
 * change of settings must not be able to send another secret of the function there.
 */
const storageCredential = secretReference.regex(
  /^(env:(BACKUP_STORAGE_|AWS_)|vault:\/\/backup)/,
  "must be env:BACKUP_STORAGE_…, env:AWS_… or vault://backup…",
);

/** Kinds of storage. */
export const STORAGE_TYPES = ["local", "s3", "gcs", "azure", "supabase"] as const;

/** One of {@linkcode STORAGE_TYPES}. */
export type StorageType = typeof STORAGE_TYPES[number];

/** Kinds that can lock objects. */
export const LOCKING_TYPES: readonly StorageType[] = ["s3", "gcs", "azure"];

/**
 * Classes by kind, as the provider names them. Those whose objects have to be thawed for hours before they
 * can be read (GLACIER, DEEP_ARCHIVE, Azure's Archive) are none of them: no backup in them can be
 * verified, and no new one can be compared with it.
 */
export const STORAGE_CLASSES: Readonly<Record<StorageType, readonly string[]>> = {
  local: [],
  s3: ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"],
  gcs: ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"],
  azure: ["Hot", "Cool", "Cold"],
  supabase: [],
};

/** Modes of a lock. */
export const LOCK_MODES = ["governance", "compliance"] as const;

/** How a message says where a wrong value stands, by the end of its variable: `BUCKET`. */
type Said = (variable: string) => string;

/** Kind of storage. */
export function storageType(said: Said) {
  return z.enum(STORAGE_TYPES, {
    error: ({ input }) => noneOf(input, STORAGE_TYPES, said("TYPE")),
  });
}

/**
 * Where backups are kept. Bucket, region, account and prefix become part of an address: none of them may
 * hold what would lead it elsewhere.
 */
export function storageFields(said: Said) {
  return {
    bucket: text(said("BUCKET"), /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/, "a bucket's name")
      .optional().describe("Bucket or container."),
    region: text(said("REGION"), /^[a-z0-9-]{1,64}$/, "a region's name, as eu-central-1")
      .optional().describe("Region of S3; unset: us-east-1."),
    account: text(
      said("ACCOUNT"),
      /^[a-z0-9]{3,24}$/,
      "an account's name: 3 to 24 small letters and digits",
    ).optional().describe("Account of Azure."),
    accessKey: storageCredential.optional().describe("Id of the access key."),
    secretKey: storageCredential.optional().describe("The secret key."),
    endpoint: z.url({
      error: ({ input }) =>
        `${quote(input)} is not an address as https://host (${said("ENDPOINT")})`,
    }).optional().describe("Server, where it is not the provider's usual one."),
    prefix: text(
      said("PREFIX"),
      /^(?=.{0,200}$)\/*([A-Za-z0-9_=-][A-Za-z0-9._=-]*(\/+|$))*$/,
      "a path",
    ).optional().describe("Put before the names of all objects."),
    path: z.string().min(1).max(1000).optional().describe(
      "Directory of local storage; unset: the bucket's name, or `backups`.",
    ),
    storageClass: z.string().max(64).optional().describe(
      "Class of storage, as the provider names it.",
    ),
    objectLock: z.strictObject({
      mode: z.enum(LOCK_MODES, {
        error: ({ input }) => noneOf(input, LOCK_MODES, said("LOCK_MODE")),
      }).describe("How objects are locked against deletion; unset: they are not."),
      days: z.number({
        error: ({ input }) => `${quote(input)} is no number of days (${said("LOCK_DAYS")})`,
      }).int().min(1).max(36_500).describe("How long objects are locked."),
    }).optional(),
    legalHold: z.boolean({
      error: ({ input }) => noneOf(input, ["true", "false"], said("LEGAL_HOLD")),
    }).optional().describe("Objects are held until somebody ends the hold by hand."),
  };
}

const saidByVariable: Said = (variable) => `BACKUP_STORAGE_${variable}`;

/** See {@linkcode storageType}. */
export const storageTypeSchema = storageType(saidByVariable);

/** See {@linkcode storageFields}. */
export const storageConfigSchema = z.strictObject(storageFields(saidByVariable));

/** See {@linkcode storageConfigSchema}. */
export type StorageConfig = z.infer<typeof storageConfigSchema>;

/** What a kind of storage cannot do of what its settings ask for, by field. */
export function storageIssues(
  type: StorageType,
  config: StorageConfig,
  said: Said = saidByVariable,
): { field: keyof StorageConfig; message: string }[] {
  const issues: { field: keyof StorageConfig; message: string }[] = [];
  const refuse = (field: keyof StorageConfig, message: string) => issues.push({ field, message });
  const { storageClass, objectLock, legalHold } = config;
  const classes = STORAGE_CLASSES[type];
  if (storageClass !== undefined && !classes.includes(storageClass)) {
    const some = classes.length === 0
      ? `${quote(storageClass)} is none: ${type} storage has no classes (${said("CLASS")})`
      : noneOf(storageClass, classes, said("CLASS"));
    const isArchive = /^(GLACIER|DEEP_ARCHIVE|Archive)$/i.test(storageClass) && classes.length > 0;
    refuse("storageClass", isArchive ? `${some}; its objects could not be read at once` : some);
  }
  if (!LOCKING_TYPES.includes(type)) {
    const message = `${type} storage has no locks; ${LOCKING_TYPES.join(", ")} have`;
    if (objectLock !== undefined) refuse("objectLock", message);
    if (legalHold) refuse("legalHold", message);
  }
  return issues;
}

function text(variable: string, form: RegExp, what: string) {
  const wrong = (input: unknown) => `${quote(input)} is not ${what} (${variable})`;
  return z.string({ error: ({ input }) => wrong(input) })
    .regex(form, { error: ({ input }) => wrong(input) });
}

function noneOf(input: unknown, allowed: readonly string[], variable: string): string {
  return `${quote(input)} is none of ${allowed.join(", ")} (${variable})`;
}

/** A value that is no secret, as far as a message has room for it. */
function quote(input: unknown): string {
  const shown = typeof input === "string" ? input : JSON.stringify(input) ?? "nothing";
  return JSON.stringify(shown.length > 60 ? `${shown.slice(0, 60)}…` : shown);
}
