/**
 * Who may call: holders of a secret key of the project, or of the legacy service-role key.
 *
 * @module
 */
import { cryptoBytes, equalConstantTime, fromBase64, fromUtf8, utf8 } from "../core/bytes.ts";
import type { Environment } from "../core/environment.ts";
import { BackupError } from "../core/errors.ts";
import { looksLikeSchedulerKey, schedulerKeys } from "../core/scheduler_key.ts";
import type { Secret } from "../core/secret.ts";

/** Name under which the legacy key appears in the audit log and in BACKUP_ALLOWED_KEYS. */
export const SERVICE_ROLE = "service_role";

/** Name of the scheduler, which no key of the project can have; it may call `tick` only. */
export const SCHEDULER = "(scheduler)";

/**
 * The name of the key that a request carries.
 *
 * @throws `unauthorized` without a known key, `forbidden` with one that is not for this
 */
export async function authenticate(
  headers: Headers,
  environment: Environment,
  options: { legacyKeyAllowed: () => Promise<boolean>; now: Date },
): Promise<string> {
  const presented = [headers.get("apikey"), bearer(headers.get("authorization"))]
    .filter((value): value is string => value !== null && value !== "");
  if (presented.length === 0) {
    throw new BackupError("unauthorized", "Cannot serve this: no key was presented", {
      hint:
        "Send a secret key of the project in the header apikey, or Authorization: Bearer <key>.",
    });
  }
  const keys = environment.secretKeys.map(({ name, key }) => ({ name, key }));
  if (environment.serviceRoleKey !== null) {
    keys.push({ name: SERVICE_ROLE, key: environment.serviceRoleKey });
  }
  if (presented.some(looksLikeSchedulerKey)) {
    for (const key of await schedulerKeys(environment)) keys.push({ name: SCHEDULER, key });
  }
  let found: string | null = null;
  let isPublic = false;
  for (const value of presented) {
    // Every key is compared, also after a hit, so that the time tells nothing.
    let name: string | null = null;
    let known = false;
    for (const each of keys) if (await equalSecret(value, each.key)) name = each.name;
    for (const key of environment.publicKeys) if (await equalSecret(value, key)) known = true;
    // A key that is listed as public opens nothing, whatever else it is listed as by mistake.
    if (known) isPublic = true;
    else found = name ?? found;
  }
  if (found === null) {
    if (isPublic) {
      throw new BackupError("forbidden", "Cannot serve this: an anonymous key opens nothing here", {
        hint: "Use a secret key of the project.",
      });
    }
    throw new BackupError("unauthorized", "Cannot serve this: the key is not known", {
      hint: "Use a secret key of the project; tokens of users are not accepted.",
    });
  }
  if (found === SERVICE_ROLE && hasExpired(environment.serviceRoleKey!, options.now)) {
    throw new BackupError("unauthorized", "Cannot serve this: the service-role key has expired", {
      hint: "Use a secret key of the project.",
    });
  }
  // Asked only for a right key, so that strangers cause no work.
  if (found === SERVICE_ROLE && !await options.legacyKeyAllowed()) {
    throw new BackupError("forbidden", "Cannot serve this: the service-role key is switched off", {
      hint: "Use a secret key of the project, or set allowLegacyServiceRoleKey.",
    });
  }
  if (found === SCHEDULER) return found; // made of allowed keys only
  if (environment.allowedKeys !== null && !environment.allowedKeys.includes(found)) {
    throw new BackupError("forbidden", `Cannot serve this: the key ${found} is not allowed`, {
      hint: "BACKUP_ALLOWED_KEYS lists the names of the keys that are.",
    });
  }
  return found;
}

/** Demands the administrator's key where one is set. @throws `forbidden` */
export async function requireAdmin(headers: Headers, environment: Environment): Promise<void> {
  if (environment.adminKey === null) return;
  const presented = headers.get("x-backup-admin-key") ?? "";
  if (await equalSecret(presented, environment.adminKey)) return;
  throw new BackupError("forbidden", "Cannot serve this: it needs the administrator's key", {
    hint: "Send it in the header x-backup-admin-key.",
  });
}

/** Whether the token's own time is over: the environment goes on holding it. One without a time has none. */
function hasExpired(token: Secret, now: Date): boolean {
  try {
    const [, claims = ""] = token.reveal().split(".");
    const { exp } = JSON.parse(fromUtf8(fromBase64(claims))) as { exp?: unknown };
    return typeof exp === "number" && exp * 1000 <= now.getTime();
  } catch {
    return false; // no token at all, but the very text that the environment holds
  }
}

function bearer(header: string | null): string | null {
  return /^Bearer +(\S+)\s*$/i.exec(header ?? "")?.[1] ?? null;
}

/** Digests are compared, so that not even the length of a key shows in the time. */
async function equalSecret(presented: string, key: Secret): Promise<boolean> {
  const [a, b] = await Promise.all([digest(presented), digest(key.reveal())]);
  return equalConstantTime(a, b);
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", cryptoBytes(utf8(text))));
}
