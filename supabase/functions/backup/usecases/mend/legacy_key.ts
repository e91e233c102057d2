/**
 * Whether the legacy service-role key still opens this service. The environment goes on holding it after the
 * platform has stopped to accept it, so both the setting and the platform are asked.
 *
 * @module
 */
import { readLegacyKeys } from "../../project/mod.ts";
import type { Deps } from "../deps.ts";

/** How long the platform's word is believed, and how long it is not asked again after it gave none. */
const BELIEVED_MS = 5 * 60_000;
const SILENT_MS = 60_000;

/** What one look may take: somebody waits for the answer. */
const PATIENCE_MS = 5000;

/** The check; it remembers for a while what the platform said. */
export function legacyKeyCheck(deps: Deps): () => Promise<boolean> {
  let said: { accepted: Promise<boolean>; untilMs: number } | null = null;
  const ask = (): Promise<boolean> => {
    const nowMs = deps.clock.now().getTime();
    if (said !== null && nowMs < said.untilMs) return said.accepted;
    const asked = { accepted: askPlatform(deps), untilMs: nowMs + BELIEVED_MS };
    asked.accepted = asked.accepted.catch(() => {
      asked.untilMs = nowMs + SILENT_MS;
      return true; // a platform that does not answer refuses nobody: the setting has said yes
    });
    said = asked;
    return asked.accepted;
  };
  return async () => (await deps.settings()).settings.allowLegacyServiceRoleKey && await ask();
}

async function askPlatform(deps: Deps): Promise<boolean> {
  const { api } = deps.project.management();
  if (api === null) return true;
  return await readLegacyKeys(api, AbortSignal.timeout(PATIENCE_MS)) !== false;
}
