import assert from "node:assert/strict";
import {
  type ManagementContract,
  startManagementContract,
} from "../../../../../tests/support/management_contract.ts";
import { BackupError } from "../../core/errors.ts";
import type { NotifyEvent, NotifyReport } from "../../core/notify_event.ts";
import type { Json } from "../../core/part.ts";
import type { Deps } from "../../usecases/deps.ts";
import type { StepContext, StepEnd, StepType } from "../step.ts";
import { STEP_KINDS } from "./mod.ts";

/** A step with what it needs of the service; its time passes as soon as somebody waits for it. */
function contextOf(
  platform: ManagementContract | null,
  { type, parameters, ...more }:
    & { type: StepType; parameters: Record<string, Json> }
    & Partial<Pick<StepContext, "earlier">>
    & {
      mode?: "live" | "drill";
      force?: boolean;
      dependencies?: string[];
      notify?: Deps["notify"];
    },
): StepContext {
  const { mode = "live", force = false, dependencies = [], earlier = new Map(), notify } = more;
  const api = platform?.api({ tries: 1 }) ?? null;
  let nowMs = 0;
  const deps = {
    clock: {
      now: () => new Date(nowMs),
      sleep: (ms: number) => Promise.resolve(void (nowMs += ms)),
    },
    environment: { databaseUrl: null },
    project: {
      management: () =>
        api === null
          ? { api, projectRef: null, withoutApi: "BACKUP_MANAGEMENT_TOKEN is not set" }
          : { api, projectRef: api.projectRef },
    },
    notify,
  } as unknown as Deps;
  const step = { id: "it", name: "It", description: "", type, order: 1, timeout: 5, retryCount: 0 };
  return {
    deps,
    caller: { name: "default", requestId: "req_1" },
    step: { ...step, dependencies, parameters },
    execution: {
      ...{ executionId: "recovery_1", planId: "mine", trigger: "mine", mode, force, rotate: [] },
    },
    earlier,
    idempotencyKey: "recovery_1:it",
    signal: new AbortController().signal,
  };
}

const run = async (context: StepContext) =>
  await STEP_KINDS[context.step.type].run(context) as StepEnd;

Deno.test("service_restart restarts what is ill and can be restarted, and says what cannot", async () => {
  await using platform = startManagementContract();
  const { project, config } = platform.resources;
  const parameters = { services: ["database", "auth", "functions"], waitForHealth: false };
  const step = { type: "service_restart" as const, parameters };

  const healthy = await run(contextOf(platform, step));
  assert.equal(healthy.state, "skipped");
  assert.match(healthy.found, /nothing needs a restart; .*auth: ACTIVE_HEALTHY/);
  assert.equal(config.restarted, false);

  project.unhealthy.add("auth");
  const ill = await run(contextOf(platform, step));
  assert.deepEqual([ill.state, ill.details.restarted], ["done", []]);
  assert.match(ill.byHand.join(), /^restart auth in the dashboard .*no call for it$/);

  const looked = await run(
    contextOf(platform, { ...step, parameters: { ...parameters, checkOnly: true } }),
  );
  assert.deepEqual([looked.state, looked.byHand], ["done", []]);

  const before = { ...config.postgres };
  const forced = { ...parameters, services: ["database"], force: true };
  const drill = await run(contextOf(platform, { ...step, parameters: forced, mode: "drill" }));
  assert.match(drill.found, /^a drill restarts nothing/);
  assert.equal(config.restarted, false);
  const restarted = await run(contextOf(platform, { ...step, parameters: forced }));
  assert.deepEqual(restarted.details.restarted, ["database"]);
  assert.equal(config.restarted, true);
  assert.deepEqual(config.postgres, before);
});

Deno.test("service_restart waits for health, and fails naming what does not become healthy", async () => {
  await using platform = startManagementContract();
  const { unhealthy } = platform.resources.project;
  const context = contextOf(platform, {
    type: "service_restart",
    parameters: { services: ["auth"] },
  });
  unhealthy.add("auth");
  await assert.rejects(run(context), (error) => {
    assert.ok(error instanceof BackupError);
    assert.match(error.message, /auth is UNHEALTHY/);
    return true;
  });
  assert.equal(platform.seen.length, 16, "each three seconds for three quarters of a minute");
  unhealthy.clear();
  assert.equal((await run(context)).state, "skipped");
});

Deno.test("service_restart does nothing after a restore that restored nothing", async () => {
  await using platform = startManagementContract();
  const earlier = new Map<string, StepEnd>([
    ["restore", { state: "skipped", found: "", details: { backupType: "config" }, byHand: [] }],
  ]);
  const parameters = { services: ["database"], force: true, waitForHealth: false };
  const step = { type: "service_restart" as const, parameters, earlier, dependencies: ["restore"] };
  assert.match((await run(contextOf(platform, step))).found, /^nothing was restored before it/);
  assert.equal(platform.resources.config.restarted, false);
});

Deno.test("service_restart without a token knows only the database", async () => {
  const parameters = { services: ["auth"] };
  const { found } = await run(contextOf(null, { type: "service_restart", parameters }));
  assert.match(found, /auth: not known: BACKUP_MANAGEMENT_TOKEN is not set/);
});

Deno.test("config_update gives a field of the project's settings its value, once", async () => {
  await using platform = startManagementContract();
  const { config } = platform.resources;
  const parameters = { configKey: "auth.site_url", configValue: "https://shop.example" };
  const step = { type: "config_update" as const, parameters };

  const drill = await run(contextOf(platform, { ...step, mode: "drill" }));
  assert.equal(drill.found, "auth.site_url would change");
  assert.notEqual(config.auth.site_url, "https://shop.example");
  const changed = await run(contextOf(platform, step));
  assert.deepEqual([changed.state, changed.found], ["done", "auth.site_url changed"]);
  assert.equal(config.auth.site_url, "https://shop.example");
  assert.doesNotMatch(JSON.stringify(changed), /shop\.example/);
  assert.equal((await run(contextOf(platform, step))).state, "skipped");

  const work = {
    configKey: "database-postgres.work_mem",
    configValue: "8MB",
    restartRequired: true,
  };
  const restarted = await run(contextOf(platform, { ...step, parameters: work }));
  assert.match(restarted.found, /changed; .*the database was restarted$/);
  assert.equal(config.restarted, true);
  assert.equal(config.postgres.work_mem, "8MB");
});

Deno.test("config_update without a token fails and says why", async () => {
  const parameters = { configKey: "auth.site_url", configValue: "https://shop.example" };
  await assert.rejects(run(contextOf(null, { type: "config_update", parameters })), {
    code: "invalid_config",
    message: /BACKUP_MANAGEMENT_TOKEN is not set/,
  });
});

Deno.test("notification tells the channels that are named, once for a step, and nobody in a drill", async () => {
  const told: NotifyEvent[] = [];
  let report: NotifyReport = { messageId: "m", sent: ["slack"], failed: [], silencedBy: null };
  const notify = (event: NotifyEvent) => {
    told.push(event);
    return Promise.resolve(report);
  };
  const parameters = { message: "The plan goes on", channels: ["slack"], priority: "high" };
  const step = { type: "notification" as const, parameters, notify };
  assert.equal((await run(contextOf(null, { ...step, mode: "drill" }))).state, "skipped");
  assert.deepEqual(told, []);

  assert.equal((await run(contextOf(null, step))).found, "told slack");
  const { id, kind, message, channels, priority } = told[0]!;
  assert.deepEqual(
    { id, kind, message, channels, priority },
    { id: "recovery_1:it", kind: "message", ...parameters },
  );

  report = { ...report, sent: [], failed: [{ channel: "slack", message: "no address" }] };
  await assert.rejects(run(contextOf(null, step)), {
    message: "Cannot tell anybody: slack: no address",
  });
  report = { ...report, failed: [], silencedBy: "no channel is set" };
  const silent = await run(contextOf(null, step));
  assert.deepEqual([silent.state, silent.found], ["skipped", "nobody was told: no channel is set"]);
});

Deno.test("a step of a plan of another release fails and names its parameter", async () => {
  const context = contextOf(null, { type: "service_restart", parameters: { services: ["sun"] } });
  await assert.rejects(run(context), {
    code: "invalid_request",
    message: /parameters\.services\.0/,
  });
});

Deno.test("a plan that restores functions says without a token that it is the token that lacks", async () => {
  const step = { type: "backup_restore" as const, parameters: { backupType: "function" } };
  await assert.rejects(
    STEP_KINDS.backup_restore.run(contextOf(null, step)),
    (error: BackupError) => {
      assert.equal(error.code, "invalid_config");
      assert.match(
        `${error.message} ${error.hint}`,
        /is not set .*secrets set BACKUP_MANAGEMENT_TOKEN=/,
      );
      return true;
    },
  );
});
