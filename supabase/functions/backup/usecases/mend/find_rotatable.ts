/**
 * What a rotation could be asked for.
 *
 * @module
 */
import { listApiKeys, listSecrets, readLegacyKeys } from "../../project/mod.ts";
import type { Deps } from "../deps.ts";
import { ROTATION_NAME } from "./rotate_secrets.ts";

/** What could be named here, and what nobody but its issuer can change. */
export async function findRotatable(
  deps: Deps,
  signal: AbortSignal,
): Promise<{ names: string[]; reasons: string[] }> {
  const access = deps.project.management();
  if (access.api === null) {
    return { names: [], reasons: [`nothing can be rotated from here: ${access.withoutApi}`] };
  }
  const { api } = access;
  const keys = await listApiKeys(api, signal);
  const names = keys.flatMap(({ type, name }) =>
    type === "legacy" ? [] : [`${type === "secret" ? "api_key" : "publishable_key"}:${name}`]
  );
  if (await readLegacyKeys(api, signal) === true) names.push("legacy_keys");
  names.push("database_password");
  const variables = (await listSecrets(api, signal)).map(({ name }) => name)
    .filter((name) => !name.startsWith("SUPABASE_"));
  const shown = variables.slice(0, 50).join(", ") +
    (variables.length > 50 ? ` and ${variables.length - 50} more` : "");
  const reasons = variables.length === 0
    ? []
    : [`new values only from their issuers, then supabase secrets set <name>=…: ${shown}`];
  return { names: names.filter((name) => ROTATION_NAME.test(name)), reasons };
}
