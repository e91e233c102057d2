/**
 * Tells people that an execution begins and how it ended.
 *
 * @module
 */
import type { Execution, RecoveryPlan } from "../core/recovery.ts";
import type { Deps } from "../usecases/deps.ts";

/** The beginning. */
export async function tellBegin(
  deps: Pick<Deps, "notify">,
  execution: Execution,
  plan: RecoveryPlan,
): Promise<void> {
  const { trigger } = execution;
  await tell(deps, { execution, plan, what: "begin" }, `has begun: the trigger is ${trigger}`);
}

/** The end, once however often it is told. */
export async function tellEnd(
  deps: Pick<Deps, "notify">,
  execution: Execution,
  plan: RecoveryPlan,
): Promise<void> {
  const { status, message } = execution;
  await tell(deps, { execution, plan, what: "end" }, `has ended, ${status}: ${message ?? ""}`);
}

/** A recovery that did not come about leaves a loss as it is. */
function priorityOf({ mode, status }: Execution, plan: RecoveryPlan): RecoveryPlan["priority"] {
  if (mode === "drill") return "low";
  return status === "failed" || status === "partial" ? "critical" : plan.priority;
}

async function tell(
  deps: Pick<Deps, "notify">,
  { execution, plan, what }: { execution: Execution; plan: RecoveryPlan; what: "begin" | "end" },
  words: string,
): Promise<void> {
  const { executionId, mode, status, steps, error } = execution;
  // Two steps that look at the same thing say the same of it.
  const byHand = new Set(steps.flatMap((step) => step.byHand));
  const todo = [...byHand, ...(error?.hint === undefined ? [] : [error.hint])].join(" ");
  await deps.notify({
    kind: "message",
    type: "plan",
    id: `${executionId}:${what}`,
    jobId: executionId,
    message: `${mode === "drill" ? "The drill" : "The recovery"} ${plan.name} ${words}`,
    ...(todo === "" ? {} : { todo }),
    details: { executionId, planId: plan.id, mode, status },
    priority: priorityOf(execution, plan),
  });
}
