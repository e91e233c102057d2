/**
 * Adds, changes, removes, enables and disables plans. Each change is a new version in storage, which is the
 * judge between two at the same time; then the tables follow.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { KnownPlan, RecoveryPlan } from "../core/recovery.ts";
import { requestLine } from "../core/request_line.ts";
import type { Repository } from "../repository/mod.ts";
import type { Caller, Deps } from "../usecases/deps.ts";
import { recordAudit } from "../usecases/jobs/record_audit.ts";
import {
  isDefaultPlan,
  type PlanDocument,
  putPlans,
  readPlanDocument,
  readPlanDocuments,
  readPlans,
  writePlanDocument,
} from "./plans.ts";
import { unlessUnavailable } from "./record_execution.ts";

/** Most plans that users keep. */
const MAX_PLANS = 200;

/** A plan after its change. */
export interface ChangedPlan {
  plan: KnownPlan;
  /** False while the tables cannot be used: storage has the change, and `init` brings it there. */
  recorded: boolean;
}

/**
 * Adds a plan, or with `replace` a new version of one.
 *
 * @throws `conflict` for an id that is taken or a default plan's, `not_found` when there is none to replace,
 * `storage_*`, `repository_missing`
 */
export async function addPlan(
  deps: Deps,
  caller: Caller,
  { plan, replace }: { plan: RecoveryPlan; replace: boolean },
): Promise<ChangedPlan> {
  if (isDefaultPlan(plan.id)) throw isDefault(plan.id, "add");
  const repository = await openRepository(deps);
  const before = await readPlanDocument(repository, plan.id);
  const isThere = before !== null && !before.removed;
  if (isThere && !replace) {
    await follow(deps, before); // where the tables do not know it yet, the refusal would not be understood
    throw taken(plan.id);
  }
  if (!isThere && replace) throw noPlan(plan.id, "replace");
  if (before === null) await refuseTooMany(deps, repository);
  const { enabled } = plan;
  const change = { plan, enabled, removed: false };
  return await keep(deps, caller, {
    repository,
    before,
    planId: plan.id,
    change,
    action: "add-plan",
  });
}

/** @throws `conflict` for a default plan, `not_found` */
export async function removePlan(
  deps: Deps,
  caller: Caller,
  planId: string,
): Promise<{ planId: string; kept: "nothing" | "executions" | null; recorded: boolean }> {
  if (isDefaultPlan(planId)) throw isDefault(planId, "remove");
  const repository = await openRepository(deps);
  const before = await readPlanDocument(repository, planId);
  if (before === null || before.removed) throw noPlan(planId, "remove");
  const next = nextOf(deps, caller, {
    before,
    planId,
    change: { plan: null, enabled: false, removed: true },
  });
  await writePlanDocument(repository, next);
  const came = await unlessUnavailable(deps, () => deps.state.plans.remove(planId, next.version));
  await recordAudit(deps, caller, {
    action: "remove-plan",
    subject: planId,
    outcome: "completed",
    details: { version: next.version },
  });
  const kept = came === null ? null : came === "removed" ? "nothing" : "executions";
  return { planId, kept, recorded: came !== null };
}

/** Enables or disables a plan, also a default one. @throws `not_found` */
export async function enablePlan(
  deps: Deps,
  caller: Caller,
  { planId, enabled }: { planId: string; enabled: boolean },
): Promise<ChangedPlan> {
  const repository = await openRepository(deps);
  const before = await readPlanDocument(repository, planId);
  const isThere = isDefaultPlan(planId) || (before !== null && !before.removed);
  if (!isThere) throw noPlan(planId, "change");
  const plan = before?.plan ?? null;
  const change = { plan: plan === null ? null : { ...plan, enabled }, enabled, removed: false };
  return await keep(deps, caller, { repository, before, planId, change, action: "enable-plan" });
}

/** What changes. */
interface PlanChange {
  repository: Repository;
  before: PlanDocument | null;
  planId: string;
  change: Pick<PlanDocument, "plan" | "enabled" | "removed">;
  action: string;
}

async function keep(deps: Deps, caller: Caller, change: PlanChange): Promise<ChangedPlan> {
  const { repository, planId, action } = change;
  const next = nextOf(deps, caller, change);
  await writePlanDocument(repository, next);
  const recorded = await follow(deps, next);
  await recordAudit(deps, caller, {
    action,
    subject: planId,
    outcome: "completed",
    details: { version: next.version, enabled: next.enabled },
  });
  const { plans } = await readPlans(deps);
  return { plan: plans.find(({ id }) => id === planId)!, recorded };
}

function nextOf(
  deps: Deps,
  caller: Caller,
  { before, planId, change }: Pick<PlanChange, "before" | "planId" | "change">,
): PlanDocument {
  return {
    format: 1,
    planId,
    version: (before?.version ?? 0) + 1,
    ...change,
    changedAt: deps.clock.now().toISOString(),
    changedBy: caller.name,
  };
}

async function follow(deps: Deps, document: PlanDocument): Promise<boolean> {
  return await unlessUnavailable(deps, async () => {
    await putPlans(deps, [document]);
    return true;
  }) ?? false;
}

async function openRepository(deps: Deps): Promise<Repository> {
  const { settings } = await deps.settings();
  return await deps.openRepository(settings);
}

async function refuseTooMany(deps: Deps, repository: Repository): Promise<void> {
  const there = (await readPlanDocuments(deps, repository)).filter(({ removed }) => !removed);
  if (there.length < MAX_PLANS) return;
  throw new BackupError("conflict", `Cannot add the plan: there are ${there.length} already`, {
    hint: `Remove plans that nobody needs: ${requestLine("remove-plan", { planId: "<its id>" })}`,
  });
}

function taken(planId: string): BackupError {
  return new BackupError("conflict", `Cannot add the plan ${planId}: there is one of this id`, {
    hint: 'Take another id, or send "replace": true to change that one.',
    details: { planId },
  });
}

function isDefault(planId: string, verb: "add" | "remove"): BackupError {
  return new BackupError(
    "conflict",
    `Cannot ${verb} the plan ${planId}: it comes with the software`,
    {
      hint: verb === "add"
        ? "Take another id for a plan of your own."
        : `Disable it: ${requestLine("enable-plan", { planId, enabled: false })}`,
      details: { planId },
    },
  );
}

function noPlan(planId: string, verb: string): BackupError {
  return new BackupError("not_found", `Cannot ${verb} the plan: there is none of this id`, {
    hint: "List the plans with action=plans.",
    details: { planId },
  });
}
