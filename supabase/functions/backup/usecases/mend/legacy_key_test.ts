import assert from "node:assert/strict";
import { DEFAULT_SETTINGS } from "../../core/settings.ts";
import { startManagementContract } from "../../../../../tests/support/management_contract.ts";
import type { Deps } from "../deps.ts";
import { legacyKeyCheck } from "./legacy_key.ts";

Deno.test("legacyKeyCheck() believes the setting first, then the platform, and remembers its word", async () => {
  await using platform = startManagementContract();
  const api = platform.api({ tries: 1 });
  let [nowMs, allowed] = [0, true];
  const deps = {
    clock: { now: () => new Date(nowMs), sleep: () => Promise.resolve() },
    project: { management: () => ({ api, projectRef: api.projectRef }) },
    settings: () =>
      Promise.resolve({
        settings: { ...DEFAULT_SETTINGS, allowLegacyServiceRoleKey: allowed },
        fromTables: true,
      }),
  } as unknown as Deps;
  const check = legacyKeyCheck(deps);

  assert.equal(await check(), true);
  platform.resources.secrets.legacy = false;
  assert.equal(await check(), true, "asked a moment ago");
  nowMs += 5 * 60_000;
  assert.equal(await check(), false);
  assert.equal(await check(), false);
  assert.equal(platform.seen.length, 2);

  nowMs += 5 * 60_000;
  platform.fail("v1-get-project-legacy-api-keys", { status: 500 });
  assert.equal(await check(), true, "a platform that does not answer refuses nobody");
  allowed = false;
  assert.equal(await check(), false);
});
