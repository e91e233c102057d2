/**
 * Which variables of the environment are certainly no secrets, so that their values may be kept.
 *
 * @module
 */
import { SETTING_VARIABLES, STORAGE_VARIABLES } from "../core/settings_variables.ts";

/** Own settings that are neither keys nor addresses with keys in them, and what else is certainly none. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...[...SETTING_VARIABLES, ...STORAGE_VARIABLES].flatMap(([name, , form]) =>
    form === "secret" ? [] : [name]
  ),
  "BACKUP_ALLOWED_HOSTS",
  "BACKUP_ALLOWED_KEYS", // names of keys
  "BACKUP_PROJECT_REF",
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
