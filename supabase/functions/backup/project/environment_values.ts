/**
 * Which variables of the environment are certainly no secrets, so that their values may be kept.
 *
 * @module
 */

/** Own settings that hold neither keys nor addresses with passwords, and what the platform sets. */
const HARMLESS: ReadonlySet<string> = new Set([
  "BACKUP_ALLOWED_HOSTS",
  "BACKUP_ALLOWED_KEYS", // names of keys
  "BACKUP_ALLOW_LEGACY_KEY",
  "BACKUP_COMPRESSION_ALGORITHM",
  "BACKUP_COMPRESSION_LEVEL",
  "BACKUP_CONFIG_INTERVAL",
  "BACKUP_CONFIG_RETENTION",
  "BACKUP_DATABASE_CONNECTIONS",
  "BACKUP_DATABASE_DISK_BYTES",
  "BACKUP_DATABASE_INTERVAL",
  "BACKUP_DATABASE_PROFILE",
  "BACKUP_DATABASE_RETENTION",
  "BACKUP_ENABLE_COMPRESSION",
  "BACKUP_ENABLE_CONFIG_BACKUP",
  "BACKUP_ENABLE_DATABASE_BACKUP",
  "BACKUP_ENABLE_ENCRYPTION",
  "BACKUP_ENABLE_FILES_BACKUP",
  "BACKUP_ENABLE_FUNCTION_BACKUP",
  "BACKUP_ENABLE_NOTIFICATIONS",
  "BACKUP_ENABLE_SECRETS_BACKUP",
  "BACKUP_ENABLE_VERIFICATION",
  "BACKUP_EXCLUDE_SCHEMAS",
  "BACKUP_EXCLUDE_TABLES",
  "BACKUP_EXCLUDE_TABLE_DATA",
  "BACKUP_FAILURE_THRESHOLD",
  "BACKUP_FILES_INTERVAL",
  "BACKUP_FILES_RETENTION",
  "BACKUP_FUNCTION_INTERVAL",
  "BACKUP_FUNCTION_RETENTION",
  "BACKUP_LOCK_TIMEOUT_SECONDS",
  "BACKUP_MAX_KEEPER_SECONDS",
  "BACKUP_MAX_WORKERS",
  "BACKUP_NOTIFICATION_CHANNELS",
  "BACKUP_ON_RUNNING_BACKUP",
  "BACKUP_PLAIN_VARIABLES",
  "BACKUP_PROJECT_REF",
  "BACKUP_SECRETS_INTERVAL",
  "BACKUP_SECRETS_RETENTION",
  "BACKUP_SETTINGS_TABLES",
  "BACKUP_STORAGE_BUCKET",
  "BACKUP_STORAGE_PATH",
  "BACKUP_STORAGE_PREFIX",
  "BACKUP_STORAGE_REGION",
  "BACKUP_STORAGE_TYPE",
  "BACKUP_VERIFICATION_INTERVAL",
  "BACKUP_WORKER_CPU_SECONDS",
  "BACKUP_WORKER_MEMORY_MB",
  "BACKUP_WORKER_WALL_SECONDS",
  "BACKUP_YIELD_TO_WAITERS_SECONDS",
  "SB_REGION",
  "SUPABASE_URL",
]);

/** Names that say "secret", whatever anyone else says of them. */
const SECRET_NAME =
  /SECRET|TOKEN|PASS|PWD|KEY|CREDENTIAL|PRIVATE|SALT|JWT|JWKS|CERT|COOKIE|SIGNATURE|AUTH|WEBHOOK|DSN|DATABASE|_DB_|CONNECTION/;

/** Values that look like one: an address with a password, a token, a key, a certificate. */
const SECRET_VALUE =
  /:\/\/[^/\s]*:[^/\s]*@|^(sb[a-z]*_|sk_|pk_|gh[a-z]_|xox|eyJ|AKIA|AIza)|-----BEGIN|^[A-Za-z0-9+/_=-]{32,}$/;

/** A variable with its value, where the value may be kept. */
export interface KnownVariable {
  name: string;
  /** Null: a secret, or not known to be none. */
  value: string | null;
}

/**
 * The variables of these names, each with its value only when that is certainly no secret: by our own
 * list, or because the user named it and neither name nor value look like a secret.
 */
export function readVariables(
  names: readonly string[],
  { variable, declared }: {
    variable(name: string): string | undefined;
    /** Names that the user declared to be no secrets. */
    declared: readonly string[];
  },
): KnownVariable[] {
  const all = new Set([
    ...names,
    ...[...HARMLESS, ...declared].filter((name) => variable(name) !== undefined),
  ]);
  return [...all].sort().map((name) => ({
    name,
    value: mayKeep(name, { value: variable(name), declared }) ? variable(name) ?? null : null,
  }));
}

function mayKeep(
  name: string,
  { value, declared }: { value: string | undefined; declared: readonly string[] },
): boolean {
  if (value === undefined) return false;
  if (/:\/\/[^/\s]*@/.test(value)) return false;
  if (HARMLESS.has(name)) return true;
  return declared.includes(name) && !SECRET_NAME.test(name.toUpperCase()) &&
    !SECRET_VALUE.test(value);
}
