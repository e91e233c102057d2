/**
 * What a plan may look like: the guide's structure exactly, with bounds. Every error names the path of what is
 * wrong.
 *
 * @module
 */
import { z } from "zod";
import { PRIORITIES, type RecoveryStep, STEP_TYPES, TEST_TRIGGER } from "../core/recovery.ts";
import { describeIssues } from "../core/settings.ts";
import { findCycle } from "./order_steps.ts";
import { STEP_KINDS } from "./steps/mod.ts";

/** Most steps of a plan. */
export const MAX_STEPS = 50;

/** Longest plan, in bytes of JSON. */
export const MAX_PLAN_BYTES = 64 * 1024;

/** Longest time that a step, or a whole plan, may say it takes: a week. */
const MAX_MINUTES = 7 * 24 * 60;

/** Ids are names of objects in storage too. */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,100}$/, "is not 1 to 100 of A-Z a-z 0-9 _ -");

/** A plan's id. */
export const planIdSchema = id;

/** A trigger's name. */
export const triggerSchema = z.string()
  .regex(/^[A-Za-z0-9_.:-]{1,100}$/, "is not 1 to 100 of A-Z a-z 0-9 _ . : -");

const minutes = z.number().int().min(1).max(MAX_MINUTES);

const name = storable(z.string().min(1).max(255));
const description = storable(z.string().max(2000));

/** Values of any type stand under names; the type of the step says which. */
const parameters = z.record(z.string(), z.unknown())
  .refine(isStorable, "holds a character that cannot be stored");

const stepSchema = z.strictObject({
  id,
  name,
  description,
  type: z.enum(STEP_TYPES),
  order: z.number().int().min(0).max(1000),
  timeout: minutes.describe("Minutes, of each try."),
  retryCount: z.number().int().min(0).max(10).describe("Tries after the first."),
  dependencies: z.array(id).max(MAX_STEPS)
    .describe("Ids of steps that must have been done or skipped before."),
  parameters,
});

/** A plan as somebody gives it. */
export const planSchema = z.strictObject({
  id,
  name,
  description,
  priority: z.enum(PRIORITIES),
  triggers: z.array(triggerSchema).min(1).max(50),
  steps: z.array(stepSchema).min(1).max(MAX_STEPS),
  estimatedRecoveryTime: minutes,
  enabled: z.boolean().default(true),
  lastTested: z.null("is set by executions only").optional(),
  objectives: z.strictObject({
    rtoTargetMinutes: minutes.optional(),
    rpoTargetMinutes: minutes.optional(),
  }).optional().describe("Kept and shown."),
}).superRefine((plan, context) => {
  const refuse = (path: (string | number)[], message: string) =>
    context.addIssue({ code: "custom", path, message });
  if (new TextEncoder().encode(JSON.stringify(plan)).length > MAX_PLAN_BYTES) {
    refuse([], `is over ${MAX_PLAN_BYTES} bytes`);
  }
  plan.triggers.forEach((trigger, at) => {
    if (trigger === TEST_TRIGGER) {
      refuse(["triggers", at], "is the trigger of drills, of all plans");
    }
    if (plan.triggers.indexOf(trigger) < at) refuse(["triggers", at], "is there twice");
  });
  checkSteps(plan.steps as RecoveryStep[], refuse);
});

type Refuse = (path: (string | number)[], message: string) => void;

function checkSteps(steps: readonly RecoveryStep[], refuse: Refuse): void {
  const ids = steps.map((step) => step.id);
  steps.forEach((step, at) => {
    if (ids.indexOf(step.id) < at) refuse(["steps", at, "id"], `${step.id} is there twice`);
    step.dependencies.forEach((other, place) => {
      const path = ["steps", at, "dependencies", place];
      if (!ids.includes(other)) refuse(path, `${other} is no step of the plan`);
      else if (step.dependencies.indexOf(other) < place) refuse(path, `${other} is there twice`);
    });
    const checked = STEP_KINDS[step.type].parameters.safeParse(step.parameters);
    if (checked.success) return;
    for (const { path, message } of describeIssues(checked.error)) {
      refuse(["steps", at, "parameters", ...(path === "" ? [] : path.split("."))], message);
    }
  });
  if (new Set(ids).size < ids.length) return;
  const cycle = findCycle(steps);
  if (cycle === null) return;
  const at = ids.indexOf(cycle[0]!);
  refuse(["steps", at, "dependencies"], `go round in a circle: ${cycle.join(" → ")}`);
}

function storable(text: z.ZodString) {
  return text.refine(isStorable, "holds a character that cannot be stored");
}

/** The database takes neither NUL nor half a character, also not in names. */
function isStorable(value: unknown): boolean {
  if (typeof value === "string") return !/\0|\p{Surrogate}/u.test(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([name, inner]) => isStorable(name) && isStorable(inner));
}
