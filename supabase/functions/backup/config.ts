/**
 * The only reader of the environment, and the two functions for programs that set the service up.
 *
 * @module
 */
import type { Environment, NamedKey } from "./core/environment.ts";
import { BackupError } from "./core/errors.ts";
import { Secret } from "./core/secret.ts";
import { mergeSettings, type Settings, type SettingsPatch } from "./core/settings.ts";
import { readList, settingsOfVariables } from "./core/settings_variables.ts";

type Read = (name: string) => string | undefined;

/** What a program said through {@linkcode initializeBackup}; lies over the environment. */
let programmed: SettingsPatch = {};

/**
 * Sets the service up from a program: the settings given lie over the environment's.
 *
 * @returns the settings in force
 * @throws `invalid_config` when one is unknown or impossible
 * @example
 * ```ts
 * initializeBackup({ enableDatabaseBackup: true, databaseBackupInterval: 24 });
 * ```
 */
export function initializeBackup(config: SettingsPatch = {}): Settings {
  return program({ ...config });
}

/** Changes some of the settings that a program gave. @throws as {@linkcode initializeBackup} */
export function updateBackupConfig(updates: SettingsPatch): Settings {
  return program({ ...programmed, ...updates });
}

function program(patch: SettingsPatch): Settings {
  const settings = mergeSettings([
    { name: "the environment", patch: settingsOfVariables(readVariable) },
    { name: "the program", patch },
  ]);
  programmed = patch;
  return settings;
}

function readVariable(name: string): string | undefined {
  const value = Deno.env.get(name);
  return value === undefined || value === "" ? undefined : value;
}

/**
 * Reads the environment.
 *
 * @throws `invalid_config` naming the variable that cannot be read; never its value
 */
export function readEnvironment(read: Read = readVariable): Environment {
  const url = read("BACKUP_DATABASE_URL") ?? read("SUPABASE_DB_URL");
  const hosted = ["SB_EXECUTION_ID", "DENO_DEPLOYMENT_ID"].some((name) => read(name) !== undefined);
  const edgeRuntime = hosted || "EdgeRuntime" in globalThis;
  return {
    settings: { ...settingsOfVariables(read), ...programmed },
    databaseUrl: url === undefined ? null : new Secret(url),
    secretKeys: readKeys(read, "SUPABASE_SECRET_KEYS"),
    serviceRoleKey: optionalSecret(read("SUPABASE_SERVICE_ROLE_KEY")),
    publicKeys: [
      ...readKeys(read, "SUPABASE_PUBLISHABLE_KEYS").map((named) => named.key),
      ...(read("SUPABASE_ANON_KEY") === undefined
        ? []
        : [new Secret(read("SUPABASE_ANON_KEY") as string)]),
    ],
    allowedKeys: optionalList(read("BACKUP_ALLOWED_KEYS")),
    allowedHosts: optionalList(read("BACKUP_ALLOWED_HOSTS")),
    adminKey: optionalSecret(read("BACKUP_ADMIN_KEY")),
    hosted,
    edgeRuntime,
    projectRef: projectRef(read),
    management: {
      url: read("BACKUP_MANAGEMENT_URL") ?? "https://api.supabase.com",
      token: optionalSecret(read("BACKUP_MANAGEMENT_TOKEN")),
      requestsPerMinute: requestsPerMinute(read("BACKUP_MANAGEMENT_REQUESTS_PER_MINUTE")),
    },
    functionUrl: functionUrl(read, edgeRuntime),
    variable: read,
  };
}

function optionalList(value: string | undefined): string[] | null {
  return value === undefined ? null : readList(value);
}

function optionalSecret(value: string | undefined): Secret | null {
  return value === undefined ? null : new Secret(value);
}

/** Half of what the platform allows a user in a project, who may have other programs. */
const USUAL_REQUESTS = 60;
/** More than any limit that the platform has. */
const MOST_REQUESTS = 10_000;

function requestsPerMinute(value: string | undefined): number {
  if (value === undefined) return USUAL_REQUESTS;
  const requests = Number(value);
  if (/^\d+$/.test(value) && requests >= 1 && requests <= MOST_REQUESTS) return requests;
  throw new BackupError(
    "invalid_config",
    `Cannot read BACKUP_MANAGEMENT_REQUESTS_PER_MINUTE: ${
      JSON.stringify(value)
    } is not a number of requests`,
    { hint: `It is a whole number from 1 to ${MOST_REQUESTS}; the platform allows 120.` },
  );
}

/** A JSON dictionary from key name to key. */
function readKeys(read: Read, variable: string): NamedKey[] {
  const text = read(variable);
  if (text === undefined) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null; // the parser's message would quote the value
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new BackupError("invalid_config", `Cannot read ${variable}: not a JSON object`, {
      hint: 'It is a dictionary such as {"default": "sb_secret_…"}.',
    });
  }
  return Object.entries(parsed)
    .filter((entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "")
    .map(([name, key]) => ({ name, key: new Secret(key) }));
}

/** On the platform all functions of a project are under its address; elsewhere it must be said. */
function functionUrl(read: Read, edgeRuntime: boolean): string | null {
  const own = read("BACKUP_FUNCTION_URL");
  if (own !== undefined) return own.replace(/\/$/, "");
  const project = edgeRuntime ? read("SUPABASE_URL") : undefined;
  return project === undefined ? null : `${project.replace(/\/$/, "")}/functions/v1/backup`;
}

/** @throws `invalid_config` when `BACKUP_PROJECT_REF` is not a ref */
function projectRef(read: Read): string | null {
  const own = read("BACKUP_PROJECT_REF");
  if (own !== undefined && !/^[a-z0-9]{20}$/.test(own)) {
    throw new BackupError("invalid_config", "Cannot read BACKUP_PROJECT_REF: not a project's ref", {
      hint: "It is the 20 letters of https://<ref>.supabase.co.",
    });
  }
  const url = /^https:\/\/([a-z0-9]{20})\.supabase\.(co|in|red)\/?$/;
  return own ?? url.exec(read("SUPABASE_URL") ?? "")?.[1] ?? null;
}
