/**
 * Plans and their executions over HTTP, while all is well.
 *
 * @module
 */
import assert from "node:assert/strict";
import { PLAN, STEP } from "../support/recovery_plan.ts";
import {
  call,
  KEYS,
  post,
  type ServiceUnderTest,
  startServiceUnderTest,
} from "../support/service.ts";

// One service for the file; the tests follow each other.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () => starting ??= startServiceUnderTest();

Deno.test(
  "plans lists the four of the guide, and init says that they are there",
  shared,
  async () => {
    const { service } = await start();
    const { body } = await post(service, "init");
    const step = body.data.steps.find((each: { step: string }) => each.step === "recovery-plans");
    assert.equal(step.done, true, step.found);
    const { status, body: list } = await call(service, "plans");
    assert.equal(status, 200, JSON.stringify(list));
    assert.equal(list.data.from, "tables");
    assert.deepEqual(
      list.data.plans.map((plan: { id: string; lastTested: unknown; enabled: boolean }) => [
        ...[plan.id, plan.lastTested, plan.enabled],
      ]),
      ["database_failure", "function_failure", "config_corruption", "secrets_compromise"]
        .map((id) => [id, null, true]),
    );
  },
);

Deno.test(
  "add-plan keeps the guide's plan; a second of the id and a default id are refused",
  shared,
  async () => {
    const { service } = await start();
    const { status, body } = await post(service, "add-plan", { plan: PLAN });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body.data.plan, { ...PLAN, lastTested: null, isDefault: false, version: 1 });
    assert.equal(body.data.recorded, true);
    for (const id of ["custom_plan", "database_failure"]) {
      const again = await post(service, "add-plan", { plan: { ...PLAN, id } });
      assert.deepEqual([again.status, again.body.error.code], [409, "conflict"], id);
    }
    const replaced = await post(service, "add-plan", {
      plan: { ...PLAN, name: "New name" },
      replace: true,
    });
    assert.deepEqual([replaced.body.data.plan.name, replaced.body.data.plan.version], [
      "New name",
      2,
    ]);
    const missing = await post(service, "add-plan", { plan: { ...PLAN, id: "x" }, replace: true });
    assert.equal(missing.status, 404);
    const listed = await call(service, "plans&planId=custom_plan");
    assert.equal(listed.body.data.plans[0].name, "New name");
  },
);

Deno.test("of many who add the same plan at once one is heard", shared, async () => {
  const { service } = await start();
  const plan = { ...PLAN, id: "contested" };
  const answers = await Promise.all(
    Array.from(
      { length: 8 },
      (_, at) => post(service, "add-plan", { plan: { ...plan, name: `${at}` } }),
    ),
  );
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [200, ...Array(7).fill(409)]);
  const winner = answers.find(({ status }) => status === 200)!;
  const listed = await call(service, "plans&planId=contested");
  assert.equal(listed.body.data.plans[0].name, winner.body.data.plan.name);
});

Deno.test("add-plan names the path of what is wrong, and keeps nothing", shared, async () => {
  const { service } = await start();
  const two = [STEP, { ...STEP, id: "second", dependencies: ["tell"] }];
  const wrong: [string, unknown][] = [
    ["plan.id", { ...PLAN, id: "../x" }],
    ["plan.id", { ...PLAN, id: "a'; drop table x; --" }],
    ["plan.name", { ...PLAN, name: "a\0b" }],
    ["plan.priority", { ...PLAN, priority: "urgent" }],
    ["plan.triggers", { ...PLAN, triggers: [] }],
    ["plan.triggers.1", { ...PLAN, triggers: ["a", "a"] }],
    ["plan.triggers.0", { ...PLAN, triggers: ["test_trigger"] }],
    ["plan.steps", { ...PLAN, steps: [] }],
    ["plan.steps", { ...PLAN, steps: Array(51).fill(STEP) }],
    ["plan.lastTested", { ...PLAN, lastTested: "2026-01-01T00:00:00Z" }],
    ["plan.colour", { ...PLAN, colour: "red" }],
    ["plan.estimatedRecoveryTime", { ...PLAN, estimatedRecoveryTime: 0 }],
    ["plan.steps.0.type", { ...PLAN, steps: [{ ...STEP, type: "magic" }] }],
    ["plan.steps.0.timeout", { ...PLAN, steps: [{ ...STEP, timeout: 1e9 }] }],
    ["plan.steps.0.retryCount", { ...PLAN, steps: [{ ...STEP, retryCount: -1 }] }],
    ["plan.steps.0.parameters.shout", {
      ...PLAN,
      steps: [{ ...STEP, parameters: { ...STEP.parameters, shout: true } }],
    }],
    ["plan.steps.0.parameters.message", { ...PLAN, steps: [{ ...STEP, parameters: {} }] }],
    ["plan.steps.1.id", { ...PLAN, steps: [STEP, STEP] }],
    ["plan.steps.1.dependencies.0", {
      ...PLAN,
      steps: [STEP, { ...two[1], dependencies: ["no"] }],
    }],
    ["plan.steps.0.dependencies", {
      ...PLAN,
      steps: [{ ...STEP, dependencies: ["second"] }, two[1]],
    }],
    ["plan.steps.0.dependencies", { ...PLAN, steps: [{ ...STEP, dependencies: ["tell"] }] }],
    ["plan", {
      ...PLAN,
      steps: Array.from({ length: 40 }, (_, at) => ({
        ...STEP,
        id: `s${at}`,
        description: "x".repeat(2000),
      })),
    }],
    ["plan", "text"],
  ];
  for (const [path, plan] of wrong) {
    const { status, body } = await post(service, "add-plan", { plan: withId(plan, "wrong") });
    assert.equal(status, 400, `${path}: ${JSON.stringify(body)}`);
    const paths = body.error.details.issues.map((issue: { path: string }) => issue.path);
    assert.ok(paths.includes(path), `${path} is not among ${JSON.stringify(body.error.details)}`);
  }
  const listed = await call(service, "plans&planId=wrong");
  assert.deepEqual(listed.body.data.plans, []);
});

/** Wrong plans have an id that is free, where the id is not what is wrong. */
function withId(plan: unknown, id: string): unknown {
  const isPlan = typeof plan === "object" && (plan as typeof PLAN).id === PLAN.id;
  return isPlan ? { ...plan as typeof PLAN, id } : plan;
}

Deno.test(
  "disaster-recovery refuses what no plan knows, and lists what there is",
  shared,
  async () => {
    const { service } = await start();
    const expect = async (input: unknown, status: number, code: string) => {
      const { status: got, body } = await post(service, "disaster-recovery", input);
      assert.deepEqual([got, body.error?.code], [status, code], JSON.stringify(body));
      return body.error;
    };
    await expect({}, 400, "invalid_request");
    await expect({ trigger: "custom_trigger", planId: "nobody" }, 404, "not_found");
    const unknown = await expect({ trigger: "earthquake" }, 400, "invalid_request");
    assert.ok(unknown.details.triggers.includes("database_unavailable"));
    const other = await expect(
      { planId: "database_failure", trigger: "custom_trigger" },
      400,
      "invalid_request",
    );
    assert.deepEqual(other.details.triggers, [
      ...["database_unavailable", "database_corruption", "database_performance_degraded"],
      "test_trigger",
    ]);
    await expect({ trigger: "test_trigger" }, 400, "invalid_request");
    const live = { planId: "custom_plan", trigger: "test_trigger", mode: "live" };
    await expect(live, 400, "invalid_request");
    const run = { planId: "custom_plan", trigger: "custom_trigger" };
    await expect({ ...run, rotate: ["everything"] }, 400, "invalid_request");
    await expect({ ...run, idempotencyKey: "a b" }, 400, "invalid_request");
    await expect({ ...run, force: "yes" }, 400, "invalid_request");
    const { body } = await call(service, "executions");
    assert.deepEqual([body.data.executions, body.data.total], [[], 0]);
  },
);

Deno.test(
  "an execution runs, is recorded step by step, and its key gives it again",
  shared,
  async () => {
    const { service, admin } = await start();
    const request = { planId: "custom_plan", trigger: "custom_trigger", idempotencyKey: "once" };
    const { status, body } = await post(service, "disaster-recovery&wait=30", request);
    assert.equal(status, 200, JSON.stringify(body));
    const { executionId, steps } = body.data;
    assert.deepEqual(
      [body.data.status, body.data.mode, body.data.joined, body.data.recorded, body.data.journaled],
      ["success", "live", false, true, true],
    );
    assert.deepEqual(
      steps.map((step: Record<string, unknown>) => [step.stepId, step.status, step.tries]),
      [["tell", "skipped", 1]], /* no channel is set up */
    );
    const again = await post(service, "disaster-recovery", request);
    assert.deepEqual(
      [again.status, again.body.data.executionId, again.body.data.joined],
      [200, executionId, true],
    );
    const other = await post(service, "disaster-recovery", { ...request, planId: "contested" });
    assert.deepEqual([other.status, other.body.error.code], [409, "conflict"]);
    const one = await call(service, `execution&executionId=${executionId}`);
    assert.equal(one.body.data.initiatedBy, "default");
    const job = await call(service, `job&jobId=${executionId}`);
    assert.deepEqual([job.body.data.kind, job.body.data.status], ["recovery", "completed"]);
    await using session = await admin();
    const [row] = await session.query(
      "select status, completed_at is not null as ended from disaster_recovery_executions where execution_id = $1",
      [executionId],
    );
    assert.deepEqual([row?.status, row?.ended], ["success", true]);
    const [plan] = await session.query(
      "select last_tested is not null as tested from disaster_recovery_plans where plan_id = 'custom_plan'",
    );
    assert.equal(plan?.tested, true);
  },
);

Deno.test(
  "executions filters and pages; an execution that is not there is not found",
  shared,
  async () => {
    const { service } = await start();
    const drill = { planId: "custom_plan", trigger: "test_trigger" };
    const { body } = await post(service, "disaster-recovery&wait=30", drill);
    assert.equal(body.data.mode, "drill");
    const list = await call(service, "executions&mode=drill&planId=custom_plan&status=success");
    assert.equal(list.body.data.total, 1);
    const page = await call(service, "executions&limit=1&offset=1");
    assert.deepEqual([page.body.data.executions.length, page.body.data.total], [1, 2]);
    for (const id of ["recovery_1", "../x", "' or true --"]) {
      const { status } = await call(service, `execution&executionId=${encodeURIComponent(id)}`);
      assert.equal(status, 404, id);
    }
    assert.equal((await call(service, "executions&status=done")).status, 400);
  },
);

Deno.test(
  "enable-plan switches a default plan off and on; remove-plan does not take it",
  shared,
  async () => {
    const { service } = await start();
    const set = (enabled: boolean) =>
      post(service, "enable-plan", { planId: "function_failure", enabled });
    assert.equal((await set(false)).body.data.plan.enabled, false);
    const refused = await post(service, "disaster-recovery", { trigger: "function_timeout" });
    assert.deepEqual([refused.status, refused.body.error.code], [409, "conflict"]);
    assert.equal((await set(true)).body.data.plan.enabled, true);
    const removed = await post(service, "remove-plan", { planId: "function_failure" });
    assert.equal(removed.status, 409);
    assert.match(removed.body.error.hint, /enable-plan/);
    assert.equal(
      (await post(service, "enable-plan", { planId: "nobody", enabled: true })).status,
      404,
    );
  },
);

Deno.test(
  "remove-plan hides a plan with executions and takes one without; the id is free again",
  shared,
  async () => {
    const { service, admin } = await start();
    assert.equal(
      (await post(service, "remove-plan", { planId: "custom_plan" })).body.data.kept,
      "executions",
    );
    assert.equal(
      (await post(service, "remove-plan", { planId: "contested" })).body.data.kept,
      "nothing",
    );
    assert.equal((await post(service, "remove-plan", { planId: "contested" })).status, 404);
    assert.equal((await call(service, "executions")).body.data.total, 2);
    const listed = await call(service, "plans");
    assert.equal(listed.body.data.plans.length, 4);
    const again = await post(service, "add-plan", { plan: PLAN });
    assert.equal(again.body.data.plan.version, 4);
    await using session = await admin();
    const rows = await session.query("select plan_id from get_disaster_recovery_plans(null, true)");
    assert.equal(rows.length, 5);
  },
);

Deno.test(
  "plans and live runs need the administrator's key where one is set; drills and reading do not",
  shared,
  async () => {
    const { variant } = await start();
    await using service = variant({ BACKUP_ADMIN_KEY: "an-administrator-key-of-good-length" });
    const run = { planId: "custom_plan", trigger: "custom_trigger" };
    const guarded: [string, unknown][] = [
      ["add-plan", { plan: { ...PLAN, id: "other" } }],
      ["remove-plan", { planId: "custom_plan" }],
      ["enable-plan", { planId: "custom_plan", enabled: false }],
      ["disaster-recovery", run],
    ];
    for (const [action, body] of guarded) {
      assert.equal((await post(service, action, body)).status, 403, action);
    }
    const drill = { planId: "custom_plan", trigger: "test_trigger" };
    assert.equal((await post(service, "disaster-recovery&wait=30", drill)).status, 200);
    assert.equal((await call(service, "plans")).status, 200);
    const anonymous = await call(service, "plans", { key: KEYS.anon });
    assert.equal(anonymous.status, 403);
  },
);

Deno.test("the service of the recovery tests stops", shared, async () => {
  await (await starting)?.stop();
});
