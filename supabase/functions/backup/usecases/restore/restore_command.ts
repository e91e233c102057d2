/**
 * The command line that does a restore without a worker's limits.
 *
 * @module
 */
import type { Settings } from "../../core/settings.ts";
import { localStorage } from "../../storage/local.ts";
import { settingsAddress } from "../../storage/settings_address.ts";
import type { RestoreRequest } from "./restore_database.ts";

/** What the command is to do. */
export interface RestoreCommandInput {
  settings: Settings;
  backupId: string;
  request: RestoreRequest;
  /** Reference to another database's address; null for the service's own. */
  targetDatabaseUrl: string | null;
  /** The service's own database does not answer: the line restores into a new one, from an empty environment. */
  isDown?: boolean;
}

/**
 * One line for a POSIX shell. Secrets are named by variables of the environment: the database's address
 * `SUPABASE_DB_URL`, or `NEW_DATABASE_URL` where that one is down, `BACKUP_ENCRYPTION_KEY`, and the storage's
 * credentials as `openStorage` asks for them.
 *
 * @throws `invalid_config` when the settings name no place
 */
export function restoreCommand(input: RestoreCommandInput): string {
  const { settings, backupId, request, targetDatabaseUrl, isDown = false } = input;
  const own = isDown ? "NEW_DATABASE_URL" : "SUPABASE_DB_URL";
  const each = (name: string, values: readonly string[] = []) =>
    values.flatMap((value) => [name, quoted(value)]);
  const flag = (name: string, isSet: boolean | undefined) => isSet === true ? [name] : [];
  const variable = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(targetDatabaseUrl ?? "")?.[1];
  return [
    // Who is in trouble has the key in the file of the README, and no environment yet.
    ...(isDown && settings.enableEncryption ? ['BACKUP_ENCRYPTION_KEY="$(cat backup.key)"'] : []),
    "deno task restore",
    `--repository ${quoted(addressOf(settings))}`,
    `--database-url "$${variable ?? (targetDatabaseUrl === null ? own : "TARGET_URL")}"`,
    `--backup ${backupId}`,
    ...flag("--no-encryption", !settings.enableEncryption),
    ...(request.mode === undefined ? [] : [`--mode ${request.mode}`]),
    ...(request.target === undefined ? [] : [`--target ${request.target}`]),
    ...each("--schema", request.schemas),
    ...each("--table", request.tables),
    ...flag("--only-lost", request.onlyLost),
    ...each("--into-schema", request.intoSchema === undefined ? [] : [request.intoSchema]),
    ...each("--allow-hazard", request.acceptHazards),
    ...flag("--schema-only", request.schemaOnly),
    ...flag("--include-auth-sessions", request.includeAuthSessions),
    ...flag("--skip-safety-backup", request.skipSafetyBackup),
  ].join(" ");
}

/** The storage as the command line takes it, from whichever folder it is run. @throws `invalid_config` */
export function addressOf(settings: Settings): string {
  const { backupStorageType: type, backupStorageConfig: config } = settings;
  if (type !== "local") return settingsAddress(settings).url;
  const path = config.path ?? config.bucket ?? "backups";
  return localStorage(path.startsWith("/") ? path : `${Deno.cwd()}/${path}`).location;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
