import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { StepContext, StepEnd } from "../../supabase/functions/backup/recovery/step.ts";
import { STEP_KINDS } from "../../supabase/functions/backup/recovery/steps/mod.ts";
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

Deno.test("config_update makes up for a restart that an earlier try did not come to", async () => {
  await using platform = startManagementContract();
  await using server = await startPostgres({ major: 17 });
  const after = await testServer(16);
  const { config } = platform.resources;
  const api = platform.api();
  const deps = {
    clock: hastyClock(),
    environment: {
      get databaseUrl() {
        return new Secret(config.restarted ? after.url() : server.url());
      },
    },
    project: { management: () => ({ api, projectRef: api.projectRef }) },
  } as unknown as Deps;
  const run = async (more: { restartRequired: boolean }) => {
    const parameters = { configKey: "database-postgres.max_connections", configValue: 50, ...more };
    const { signal } = new AbortController();
    const context = { deps, signal, step: { parameters }, execution: { mode: "live" } };
    return await STEP_KINDS.config_update.run(context as unknown as StepContext) as StepEnd;
  };
  assert.equal((await run({ restartRequired: false })).state, "done");
  const settled = await run({ restartRequired: true });
  assert.deepEqual([settled.state, config.restarted], ["skipped", false], "nothing is pending");

  const session = await connect({ url: server.url() });
  await session.execute("alter system set max_connections = 50");
  await session.execute("select pg_reload_conf()");
  const pending = "select exists (select from pg_settings where pending_restart) as pending";
  while ((await session.query(pending))[0]?.pending !== true);
  await session.close();
  const made = await run({ restartRequired: true });
  assert.deepEqual([made.state, config.restarted], ["done", true]);
  assert.match(made.found, /has the value already; the database was restarted/);
});
