/**
 * The bucket of S3 that files are saved from instead of Supabase Storage, as the environment says it. No row
 * and no request can name one: credentials are sent there.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import type { S3SourceOptions } from "./s3_source.ts";

type Read = (name: string) => string | undefined;

/**
 * What `BACKUP_FILES_SOURCE_…` says; null where no bucket is named.
 *
 * @throws `invalid_config` naming the variable that is missing or wrong; never its value
 */
export function s3SourceSettings(read: Read): S3SourceOptions | null {
  const bucket = named(read, "BUCKET", /^[a-z0-9A-Z][A-Za-z0-9._-]{1,254}$/);
  if (bucket === undefined) return null;
  const endpoint = named(read, "ENDPOINT", /^https?:\/\/[^\s/?#@]+(\/[^\s?#@]*)?$/) ?? null;
  const sessionToken = read(`${PREFIX}SESSION_TOKEN`);
  return {
    ...{ bucket, endpoint, pathStyle: endpoint !== null },
    region: named(read, "REGION", /^[a-z0-9-]{1,64}$/) ?? "us-east-1",
    prefix: named(read, "PREFIX", /^[^\p{Cc}]{1,900}$/u) ?? "",
    credentials: {
      accessKeyId: required(read, "ACCESS_KEY"),
      secretAccessKey: new Secret(required(read, "SECRET_KEY")),
      sessionToken: sessionToken === undefined ? null : new Secret(sessionToken),
    },
  };
}

/** In front of the names of all these variables. */
const PREFIX = "BACKUP_FILES_SOURCE_";

const NAMES = [
  ...["BUCKET", "ENDPOINT", "REGION", "PREFIX", "ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN"],
];

/** Those of the variables that are set; null where no bucket is named. */
export function s3SourceVariables(read: Read): Record<string, string> | null {
  if (read(`${PREFIX}BUCKET`) === undefined) return null;
  const set = NAMES.map((name) => [PREFIX + name, read(PREFIX + name)])
    .filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(set);
}

function required(read: Read, name: string): string {
  const value = read(PREFIX + name);
  if (value !== undefined && !/^your-/i.test(value)) return value;
  throw wrong(name, value === undefined ? "it is not set" : "it is a placeholder");
}

function named(read: Read, name: string, form: RegExp): string | undefined {
  const value = read(PREFIX + name);
  if (value === undefined || form.test(value)) return value;
  throw wrong(name, "it has another form");
}

function wrong(name: string, why: string): BackupError {
  return new BackupError("invalid_config", `Cannot read ${PREFIX}${name}: ${why}`, {
    hint: `supabase secrets set ${PREFIX}${name}=…; without ${PREFIX}BUCKET the files of ` +
      "Supabase Storage are saved.",
  });
}
