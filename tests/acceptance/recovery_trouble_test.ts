/**
 * Plans and their executions over HTTP when the service's own tables are gone, damaged or out of reach, and
 * when a plan cannot be carried out.
 *
 * @module
 */
import assert from "node:assert/strict";
import { PLAN, STEP } from "../support/recovery_plan.ts";
import { call, post, type ServiceUnderTest, startServiceUnderTest } from "../support/service.ts";

// One service for the file; the tests follow each other.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () => starting ??= startServiceUnderTest();

Deno.test(
  "tables that are gone are made again, and plans and executions come back from storage",
  shared,
  async () => {
    const { service, admin } = await start();
    await post(service, "init");
    assert.equal((await post(service, "add-plan", { plan: PLAN })).status, 200);
    for (const idempotencyKey of ["first", "second"]) {
      const request = { planId: "custom_plan", trigger: "custom_trigger", idempotencyKey };
      assert.equal((await post(service, "disaster-recovery&wait=30", request)).status, 200);
    }
    const before = await call(service, "executions");
    assert.equal(before.body.data.total, 2);
    await using session = await admin();
    await session.execute(
      "drop table disaster_recovery_executions, disaster_recovery_plans cascade",
    );
    const { body } = await post(service, "disaster-recovery&wait=30", {
      planId: "custom_plan",
      trigger: "custom_trigger",
      idempotencyKey: "after",
    });
    assert.deepEqual(
      [body.data.status, body.data.recorded],
      ["success", true],
      JSON.stringify(body),
    );
    await post(service, "init");
    const after = await call(service, "executions");
    const ids = (list: typeof after) =>
      list.body.data.executions.map((each: { executionId: string }) => each.executionId);
    assert.deepEqual(ids(after).slice(1), ids(before));
    assert.deepEqual(after.body.data.executions.slice(1), before.body.data.executions);
  },
);

Deno.test(
  "with the database away a trigger is answered with the command, journaled, and recorded later",
  shared,
  async () => {
    const { variant, service } = await start();
    const address = "postgres://postgres:x@127.0.0.1:9/postgres";
    await using down = variant({ SUPABASE_DB_URL: address });
    const request = { planId: "custom_plan", trigger: "custom_trigger" };
    const { status, body } = await post(down, "disaster-recovery&wait=30", request);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.data.recorded, body.data.journaled], [false, true]);
    const { executionId } = body.data;
    const list = await call(down, "executions");
    assert.equal(list.body.data.from, "storage");
    assert.ok(
      list.body.data.executions.some((each: { executionId: string }) =>
        each.executionId === executionId
      ),
    );
    const failure = await post(down, "disaster-recovery", {
      planId: "database_failure",
      trigger: "database_unavailable",
    });
    assert.equal(failure.status, 202, JSON.stringify(failure.body));
    assert.match(
      failure.body.data.commandLine,
      /deno task restore .*"\$NEW_DATABASE_URL" --backup \S+/,
    );
    const joined = await post(down, "disaster-recovery", { trigger: "database_unavailable" });
    assert.deepEqual(
      [joined.body.data.joined, joined.body.data.executionId],
      [true, failure.body.data.executionId],
    );
    await post(down, "cancel", { jobId: failure.body.data.executionId });
    await post(service, "init");
    const recorded = await call(service, `execution&executionId=${executionId}`);
    assert.deepEqual([recorded.status, recorded.body.data.recorded], [200, true]);
  },
);

Deno.test("damaged tables of the service stand against no trigger", shared, async () => {
  const { service, admin } = await start();
  await using session = await admin();
  await session.execute("alter table disaster_recovery_executions rename column mode to broken");
  const request = { planId: "custom_plan", trigger: "custom_trigger" };
  const { status, body } = await post(service, "disaster-recovery&wait=30", request);
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual([body.data.recorded, body.data.journaled], [false, true]);
  await session.execute("alter table disaster_recovery_executions rename column broken to mode");
  await post(service, "init");
  const found = await call(service, `execution&executionId=${body.data.executionId}`);
  assert.deepEqual([found.body.data.recorded, found.body.data.status], [true, "success"]);
});

Deno.test(
  "a plan that cannot be carried out answers 500 to who waits, and says which step and why",
  shared,
  async () => {
    const { service } = await start();
    const restore = {
      ...{ ...STEP, id: "restore", name: "Restore", type: "backup_restore", dependencies: [] },
      parameters: { backupType: "database", useLatest: false, backupId: "backup_nobody_made" },
    };
    const after = { ...STEP, id: "after", order: 2, dependencies: ["restore"] };
    const plan = { ...PLAN, id: "hopeless", triggers: ["hopeless"], steps: [restore, after] };
    assert.equal((await post(service, "add-plan", { plan })).status, 200);
    const { status, body } = await post(service, "disaster-recovery&wait=30", {
      trigger: "hopeless",
      force: true,
    });
    assert.deepEqual([status, body.success, body.error.code], [500, false, "recovery_failed"]);
    assert.match(body.error.message, /0 of 2 steps are done; Restore: Cannot/);
    assert.deepEqual(body.error.details, { failed: ["restore"], notRun: ["after"] });
    assert.equal(body.data.status, "failed");
    assert.equal(body.data.steps[0].error.code, "backup_not_found");
    const listed = await call(service, "plans&planId=hopeless");
    assert.equal(listed.body.data.plans[0].lastTested, null);
  },
);

Deno.test("the service of the tests of trouble stops", shared, async () => {
  await (await starting)?.stop();
});
