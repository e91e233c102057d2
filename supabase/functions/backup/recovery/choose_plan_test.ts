import assert from "node:assert/strict";
import type { BackupError } from "../core/errors.ts";
import type { KnownPlan, Priority } from "../core/recovery.ts";
import { choosePlan } from "./choose_plan.ts";

function plan(id: string, priority: Priority, triggers: string[], enabled = true): KnownPlan {
  return {
    ...{ id, name: id, description: "", priority, triggers, enabled, steps: [] },
    ...{ estimatedRecoveryTime: 1, lastTested: null, isDefault: false, version: 1 },
  };
}

const PLANS = [
  plan("low", "low", ["fire"]),
  plan("off", "critical", ["fire", "flood"], false),
  plan("high_b", "high", ["fire"]),
  plan("high_a", "high", ["fire"]),
];

Deno.test("choosePlan() takes the most urgent enabled plan with the trigger, of equals the first by id", () => {
  const { plan: chosen, mode } = choosePlan(PLANS, { trigger: "fire" });
  assert.deepEqual([chosen.id, mode], ["high_a", "live"]);
  assert.equal(choosePlan(PLANS.toReversed(), { trigger: "fire" }).plan.id, "high_a");
});

Deno.test("choosePlan() runs a drill for the trigger of drills, and for any other by wish", () => {
  assert.equal(choosePlan(PLANS, { planId: "low", trigger: "test_trigger" }).mode, "drill");
  assert.equal(choosePlan(PLANS, { planId: "low", trigger: "fire", mode: "drill" }).mode, "drill");
});

Deno.test("choosePlan() says why no plan is run, and what there is", () => {
  const refused = (choice: Parameters<typeof choosePlan>[1]) => {
    let caught: BackupError | undefined;
    assert.throws(() => choosePlan(PLANS, choice), (error: BackupError) => {
      caught = error;
      return true;
    });
    return caught!;
  };
  assert.equal(refused({ planId: "none", trigger: "fire" }).code, "not_found");
  assert.equal(refused({ trigger: "flood" }).code, "conflict");
  assert.equal(refused({ planId: "off", trigger: "test_trigger" }).code, "conflict");
  assert.deepEqual(refused({ trigger: "quake" }).details?.triggers, [
    "fire",
    "flood",
    "test_trigger",
  ]);
  assert.deepEqual(refused({ planId: "low", trigger: "flood" }).details?.triggers, [
    ...["fire", "test_trigger"],
  ]);
  assert.equal(refused({ trigger: "test_trigger" }).code, "invalid_request");
  const live = { planId: "low", trigger: "test_trigger", mode: "live" } as const;
  assert.equal(refused(live).code, "invalid_request");
});
