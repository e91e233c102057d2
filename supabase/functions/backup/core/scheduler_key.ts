/**
 * The key of the scheduler: it opens only `tick`. The database that calls needs a key, and keeps request
 * headers where others may read them, so it does not get one that opens everything. This one is derived
 * from the project's keys: nothing has to be stored to check it, and it ends with the key it comes from.
 *
 * @module
 */
import { cryptoBytes, toBase64, utf8 } from "./bytes.ts";
import type { Environment } from "./environment.ts";
import { Secret } from "./secret.ts";

const PREFIX = "backup_scheduler_";

/** Whether the text has the form of a scheduler's key; says nothing of its being right. */
export function looksLikeSchedulerKey(text: string): boolean {
  return text.startsWith(PREFIX);
}

/**
 * The keys that are right now, one for each key of the project that may call; the first is the one to
 * give out. Empty when the environment holds no key.
 */
export async function schedulerKeys(
  environment: Pick<Environment, "secretKeys" | "serviceRoleKey" | "allowedKeys">,
): Promise<Secret[]> {
  const { secretKeys, serviceRoleKey, allowedKeys } = environment;
  const mayCall = (name: string) => allowedKeys === null || allowedKeys.includes(name);
  const roots = secretKeys.filter(({ name }) => mayCall(name)).map(({ key }) => key);
  if (roots.length === 0 && serviceRoleKey !== null && mayCall("service_role")) {
    roots.push(serviceRoleKey);
  }
  return await Promise.all(roots.map(derive));
}

async function derive(root: Secret): Promise<Secret> {
  const key = await crypto.subtle.importKey(
    "raw",
    cryptoBytes(utf8(root.reveal())),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const mac = await crypto.subtle.sign("HMAC", key, cryptoBytes(utf8("scheduler of backups, 1")));
  const text = toBase64(new Uint8Array(mac)).replaceAll("+", "-").replaceAll("/", "_");
  return new Secret(PREFIX + text.replace(/=+$/, ""));
}
