/** @module */
import { z } from "zod";
import { PRIORITIES } from "../core/recovery.ts";
import {
  addPlan as add,
  enablePlan as enable,
  removePlan as remove,
} from "../recovery/change_plan.ts";
import { planIdSchema, planSchema } from "../recovery/plan_schema.ts";
import { readPlans } from "../recovery/plans.ts";
import { defineAction } from "./action.ts";

const knownPlanSchema = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  priority: z.enum(PRIORITIES),
  triggers: z.array(z.string()),
  steps: z.array(z.record(z.string(), z.unknown())),
  estimatedRecoveryTime: z.number(),
  lastTested: z.string().nullable(),
  enabled: z.boolean(),
  objectives: z.record(z.string(), z.number()).optional(),
  isDefault: z.boolean(),
  version: z.number(),
}).meta({ id: "Plan" });

const changedPlanSchema = z.object({ plan: knownPlanSchema, recorded: z.boolean() });

/** Lists the plans. */
export const plans = defineAction({
  name: "plans",
  method: "GET",
  summary: "The recovery plans: triggers, steps, and when they were last run with success.",
  input: z.strictObject({
    planId: planIdSchema.optional(),
    priority: z.enum(PRIORITIES).optional(),
    enabled: z.enum(["true", "false"]).optional(),
  }),
  output: z.object({
    plans: z.array(knownPlanSchema),
    from: z.enum(["tables", "storage", "code"]),
  }),
  run: async (deps, { planId, priority, enabled }) => {
    const list = await readPlans(deps);
    const matching = list.plans.filter((plan) =>
      (planId ?? plan.id) === plan.id && (priority ?? plan.priority) === plan.priority &&
      (enabled ?? String(plan.enabled)) === String(plan.enabled)
    );
    return { plans: matching, from: list.from };
  },
});

/** Adds a plan. */
export const addPlan = defineAction({
  name: "add-plan",
  method: "POST",
  summary: "Add a recovery plan, or with replace a new version of one.",
  input: z.strictObject({ plan: planSchema, replace: z.boolean().default(false) }),
  output: changedPlanSchema,
  needsAdmin: () => true,
  run: (deps, { plan: { lastTested: _, ...plan }, replace }, caller) =>
    add(deps, caller, { plan: plan as Parameters<typeof add>[2]["plan"], replace }),
});

/** Removes a plan. */
export const removePlan = defineAction({
  name: "remove-plan",
  method: "POST",
  summary: "Remove a plan of your own; its executions stay.",
  input: z.strictObject({ planId: planIdSchema }),
  output: z.object({
    planId: z.string(),
    kept: z.enum(["nothing", "executions"]).nullable(),
    recorded: z.boolean(),
  }),
  needsAdmin: () => true,
  run: (deps, { planId }, caller) => remove(deps, caller, planId),
});

/** Enables or disables a plan. */
export const enablePlan = defineAction({
  name: "enable-plan",
  method: "POST",
  summary: "Enable or disable a plan, also one that comes with the software.",
  input: z.strictObject({ planId: planIdSchema, enabled: z.boolean() }),
  output: changedPlanSchema,
  needsAdmin: () => true,
  run: (deps, fields, caller) => enable(deps, caller, fields),
});
