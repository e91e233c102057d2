import assert from "node:assert/strict";
import fc from "fast-check";
import type { RecoveryStep } from "../core/recovery.ts";
import { orderSteps } from "./order_steps.ts";
import { planSchema } from "./plan_schema.ts";

const DOCUMENT = new URL("../../../../docs/disaster-recovery.md", import.meta.url);

const STEP = {
  ...{ id: "a", name: "A", description: "", type: "notification", order: 1, timeout: 1 },
  ...{ retryCount: 0, dependencies: [], parameters: { message: "it begins" } },
};
const PLAN = {
  ...{ id: "p", name: "P", description: "", priority: "low", triggers: ["t"], steps: [STEP] },
  estimatedRecoveryTime: 1,
};

Deno.test("planSchema takes the plan of the documents, and one without what has a default", async () => {
  const example = /```json\n([\s\S]*?)```/.exec(await Deno.readTextFile(DOCUMENT))![1]!;
  const { plan } = JSON.parse(example);
  assert.deepEqual(planSchema.parse(plan), plan);
  assert.deepEqual(planSchema.parse(PLAN), { ...PLAN, enabled: true });
  const objectives = { rtoTargetMinutes: 15, rpoTargetMinutes: 1 };
  const whole = { ...PLAN, enabled: false, lastTested: null, objectives };
  assert.deepEqual(planSchema.parse(whole), whole);
});

Deno.test("planSchema takes nothing that no table can hold, however deep it lies", () => {
  for (const text of ["a\0b", "half \ud800 of one", "\udc00"]) {
    for (const parameters of [{ message: text }, { message: "m", channels: [text] }]) {
      assert.equal(
        planSchema.safeParse({ ...PLAN, steps: [{ ...STEP, parameters }] }).success,
        false,
      );
    }
    assert.equal(planSchema.safeParse({ ...PLAN, description: text }).success, false);
  }
  assert.equal(planSchema.safeParse({ ...PLAN, name: "whole 😀 \\u0000" }).success, true);
});

Deno.test("planSchema answers whatever it is given, and what it takes can be run in an order", () => {
  const id = fc.constantFrom("a", "b", "c", "d");
  const step = fc.record({
    ...{ id, dependencies: fc.uniqueArray(id, { maxLength: 3 }), order: fc.nat(3) },
    parameters: fc.oneof(
      { weight: 9, arbitrary: fc.constant(STEP.parameters) },
      { weight: 1, arbitrary: fc.object() },
    ),
  });
  const drafts = fc.array(step, { minLength: 1, maxLength: 4 });
  let taken = 0;
  fc.assert(
    fc.property(drafts, fc.anything(), (steps, odd) => {
      assert.equal(planSchema.safeParse(odd).success, false);
      assert.equal(planSchema.safeParse({ ...PLAN, steps: [odd] }).success, false);
      const parsed = planSchema.safeParse({
        ...PLAN,
        steps: steps.map((each) => ({ ...STEP, ...each })),
      });
      if (!parsed.success) return;
      taken += 1;
      const all = parsed.data.steps as RecoveryStep[];
      assert.equal(orderSteps(all).length, all.length);
    }),
    { seed: 1, numRuns: 500 },
  );
  assert.ok(taken > 10, `${taken} plans were taken`);
});
