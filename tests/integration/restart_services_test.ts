import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import type { Deps } from "../../supabase/functions/backup/usecases/deps.ts";
import { restartServices } from "../../supabase/functions/backup/usecases/mend/restart_services.ts";
import { hastyClock, startManagementContract } from "../support/management_contract.ts";
import { testServer } from "../support/servers.ts";

Deno.test("restartServices() says that the database was restarted only when it has started anew", async () => {
  await using platform = startManagementContract();
  const { config } = platform.resources;
  const [before, after] = [await testServer(17), await testServer(16)];
  let isRestarted = () => false;
  const api = platform.api();
  const deps = {
    clock: hastyClock(),
    environment: {
      // Another server stands for one that has started anew.
      get databaseUrl() {
        return new Secret((isRestarted() ? after : before).url());
      },
    },
    project: { management: () => ({ api, projectRef: api.projectRef }) },
  } as unknown as Deps;
  const restart = (freshSeconds: number) => {
    config.restarted = false;
    const { signal } = new AbortController();
    const services = ["database"] as const;
    return restartServices(deps, {
      ...{ services, force: true, checkOnly: false, waitForHealth: true, freshSeconds, signal },
    });
  };
  const left = await restart(1e9);
  assert.deepEqual([left.restarted, config.restarted], [[], false], "an earlier try has done it");

  await assert.rejects(restart(0), {
    message: /Cannot see the database restarted: .* runs since 20/,
  });
  assert.equal(config.restarted, true);

  isRestarted = () => config.restarted;
  const seen = await restart(0);
  assert.deepEqual(seen.restarted, ["database"]);
  assert.deepEqual(seen.health, { database: "ACTIVE_HEALTHY" });
});
