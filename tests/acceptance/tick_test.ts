import assert from "node:assert/strict";
import { freePort } from "../../scripts/embedded_postgres.ts";
import { startService } from "../../scripts/start_service.ts";
import { schedulerKeys } from "../../supabase/functions/backup/core/scheduler_key.ts";
import { CRON_JOB } from "../../supabase/functions/backup/schedule/cron_schedule.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { startNetStandIn } from "../support/net_stand_in.ts";
import {
  call,
  KEYS,
  NOTHING_DUE,
  post,
  type ServiceUnderTest,
  startServiceUnderTest,
} from "../support/service.ts";

// One service for the file.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () => starting ??= startServiceUnderTest(NOTHING_DUE);

/** The key that the scheduler of the test's service has. */
async function schedulerKey(): Promise<string> {
  const [key] = await schedulerKeys({
    secretKeys: [{ name: "default", key: new Secret(KEYS.secret) }],
    serviceRoleKey: null,
    allowedKeys: null,
  });
  return (key as Secret).reveal();
}

Deno.test("tick before init says that the tables are missing", shared, async () => {
  const { service } = await start();
  const { status, body } = await post(service, "tick");
  assert.ok(status >= 400, JSON.stringify(body));
  assert.notEqual(body.error.code, "internal");
  assert.ok(body.error.hint, "says what to do");
});

Deno.test("tick answers 202 and says that nothing waits", shared, async () => {
  const { service } = await start();
  await post(service, "init");
  const { status, body } = await post(service, "tick");
  assert.equal(status, 202, JSON.stringify(body));
  assert.deepEqual(body.data, { state: "idle", waiting: 0 });
});

Deno.test("the scheduler's key opens tick and nothing else", shared, async () => {
  const { service } = await start();
  const key = await schedulerKey();
  assert.equal((await call(service, "tick", { key, method: "POST" })).status, 202);
  const bearer = { authorization: `Bearer ${key}` };
  const asBearer = await call(service, "tick", { key: false, method: "POST", headers: bearer });
  assert.equal(asBearer.status, 202);
  for (const action of ["status", "jobs", "init", "restore", "nothing-such", ""]) {
    const refused = await call(service, action, { key });
    assert.equal(refused.status, 403, action);
    assert.equal(refused.body.error.details, undefined, "the list of actions is not for it");
  }
  const twice = await call(service, "tick&action=status", { key, method: "POST" });
  assert.ok([400, 403].includes(twice.status), String(twice.status));
});

Deno.test("tick refuses strangers and keys that only look right", shared, async () => {
  const { service } = await start();
  const right = await schedulerKey();
  const last = right.endsWith("A") ? "B" : "A";
  const attempts: [string | false, number][] = [
    [false, 401],
    [KEYS.anon, 403],
    [KEYS.publishable, 403],
    [right.slice(0, -1) + last, 401],
    ["backup_scheduler_", 401],
    [right.slice("backup_scheduler_".length), 401],
  ];
  for (const [key, status] of attempts) {
    const answer = await call(service, "tick", { key, method: "POST" });
    assert.equal(answer.status, status, String(key));
  }
});

Deno.test("the scheduler's key ends with the key that it comes from", shared, async () => {
  const { variant } = await start();
  const key = await schedulerKey();
  await using rotated = variant({ SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.other }) });
  assert.equal((await call(rotated, "tick", { key, method: "POST" })).status, 401);
  await using limited = variant({ BACKUP_ALLOWED_KEYS: "other" });
  assert.equal((await call(limited, "tick", { key, method: "POST" })).status, 401);
});

Deno.test("tick refuses other methods and wrong bodies", shared, async () => {
  const { service } = await start();
  assert.equal((await call(service, "tick")).status, 405);
  for (const body of [{ depth: -1 }, { depth: "1" }, { depth: 1.5 }, { jobId: "x" }, [], "{"]) {
    const answer = await call(service, "tick", { method: "POST", body });
    assert.equal(answer.status, 400, JSON.stringify(body));
  }
});

Deno.test(
  "tick drops the scratch database of a restore test whose worker is gone",
  shared,
  async () => {
    const { service, admin } = await start();
    const left = "restore_20260101T000000000Z_0000000001";
    const works = "restore_20260101T000000000Z_0000000002";
    await using session = await admin();
    for (const [jobId, status] of [[left, "failed"], [works, "running"]]) {
      await session.query(
        `insert into public.restore_jobs (job_id, backup_id, type, status)
       values ($1, 'backup_1', 'database', $2)`,
        [jobId as string, status as string],
      );
      await session.execute(`create database "backup_scratch_${jobId}" owner postgres`);
    }
    const scratch = async () => {
      const rows = await session.query(
        "select datname as name from pg_database where datname like 'backup_scratch_%' order by 1",
      );
      return rows.map(({ name }) => name);
    };
    await post(service, "tick");
    while ((await scratch()).length > 1) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(await scratch(), [`backup_scratch_${works}`]);
    await session.execute(`drop database "backup_scratch_${works}"`);
    await session.execute("delete from public.restore_jobs");
  },
);

Deno.test("init lets the database call tick, and uninstall ends it", shared, async () => {
  const { project, variables, admin } = await start();
  await using net = await startNetStandIn(project.adminUrl);
  const port = freePort();
  const called = startService({
    ...variables,
    BACKUP_FUNCTION_URL: `http://127.0.0.1:${port}/functions/v1/backup`,
  }, { port });
  try {
    const step = async () => {
      const { body } = await post(called, "init");
      return body.data.steps.find((one: { step: string }) => one.step === "schedule");
    };
    const [first, second] = await Promise.all([step(), step()]);
    assert.equal(first.done, true, first.found);
    assert.equal(second.done, true, second.found);
    await net.runCronJob(CRON_JOB);
    let answers = await net.responses();
    while (answers.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      answers = await net.responses();
    }
    assert.deepEqual(answers.map(({ statusCode }) => statusCode), [202]);
    await using session = await admin();
    const [job] = await session.query("select count(*)::integer as jobs from cron.job");
    assert.equal(job?.jobs, 1);
    assert.equal(
      (await post(called, "uninstall", { confirm: "remove everything but the backups" })).status,
      200,
    );
    const [left] = await session.query(`
      select (select count(*)::integer from cron.job) as jobs,
        (select count(*)::integer from vault.secrets) as secrets`);
    assert.deepEqual({ ...left }, { jobs: 0, secrets: 0 });
  } finally {
    await called.stop();
  }
});

Deno.test("tick's service ends", shared, async () => {
  await (await start()).stop();
});
