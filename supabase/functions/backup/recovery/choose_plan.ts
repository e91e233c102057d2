/**
 * Which plan a trigger runs, and how.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { type ExecutionMode, type KnownPlan, PRIORITIES, TEST_TRIGGER } from "../core/recovery.ts";
import { requestLine } from "../core/request_line.ts";

/** What a caller says of the plan to run. */
export interface PlanChoice {
  /** Left out: the most urgent plan that has the trigger. */
  planId?: string;
  trigger: string;
  /** @default `live`, or `drill` with the trigger of drills */
  mode?: ExecutionMode;
}

/**
 * @throws `not_found` for an unknown plan; `invalid_request` for a trigger that no plan, or not this one, has,
 * with those that there are; `conflict` when the plan is disabled
 */
export function choosePlan(
  plans: readonly KnownPlan[],
  { planId, trigger, mode }: PlanChoice,
): { plan: KnownPlan; mode: ExecutionMode } {
  const isTest = trigger === TEST_TRIGGER;
  if (isTest && mode === "live") {
    throw refusedField("mode", `${TEST_TRIGGER} means a drill`);
  }
  const plan = planId === undefined ? byTrigger(plans, trigger) : byId(plans, planId);
  if (!isTest && !plan.triggers.includes(trigger)) {
    throw unknownTrigger(`the plan ${plan.id} does not have the trigger ${trigger}`, [
      ...plan.triggers,
      TEST_TRIGGER,
    ]);
  }
  if (!plan.enabled) throw disabled(plan.id);
  return { plan, mode: mode ?? (isTest ? "drill" : "live") };
}

function byId(plans: readonly KnownPlan[], planId: string): KnownPlan {
  const plan = plans.find(({ id }) => id === planId);
  if (plan !== undefined) return plan;
  throw new BackupError("not_found", "Cannot run the plan: there is none of this id", {
    hint: "List the plans with action=plans.",
    details: { planId, plans: plans.map(({ id }) => id) },
  });
}

function byTrigger(plans: readonly KnownPlan[], trigger: string): KnownPlan {
  if (trigger === TEST_TRIGGER) throw refusedField("planId", `is needed with ${TEST_TRIGGER}`);
  const having = plans.filter(({ triggers }) => triggers.includes(trigger)).sort(byUrgency);
  const plan = having.find(({ enabled }) => enabled) ?? having[0];
  if (plan !== undefined) return plan;
  const known = new Set(plans.flatMap(({ triggers }) => triggers));
  throw unknownTrigger("no plan has this trigger", [...known, TEST_TRIGGER].sort());
}

/** The most urgent first; of equal ones the first by id, so that the choice is always the same. */
function byUrgency(a: KnownPlan, b: KnownPlan): number {
  return PRIORITIES.indexOf(b.priority) - PRIORITIES.indexOf(a.priority) || (a.id < b.id ? -1 : 1);
}

function unknownTrigger(why: string, triggers: readonly string[]): BackupError {
  return new BackupError("invalid_request", `Cannot run a plan: ${why}`, {
    hint: `Use one of ${triggers.join(", ")}.`,
    details: { issues: [{ path: "trigger", message: why }], triggers },
  });
}

function refusedField(path: string, message: string): BackupError {
  return new BackupError("invalid_request", `Cannot run a plan: ${path}: ${message}`, {
    details: { issues: [{ path, message }] },
  });
}

function disabled(planId: string): BackupError {
  return new BackupError("conflict", `Cannot run the plan ${planId}: it is disabled`, {
    hint: `Enable it: ${requestLine("enable-plan", { planId, enabled: true })}`,
    details: { planId },
  });
}
