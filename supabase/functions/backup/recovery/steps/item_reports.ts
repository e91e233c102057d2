/**
 * What a step about items tells once its job has ended.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { ItemStep } from "../../core/items.ts";
import type { Job } from "../../core/job.ts";
import { toJson } from "../../core/json.ts";
import type { Json } from "../../core/part.ts";
import { listFunctions } from "../../project/mod.ts";
import { findRotatable } from "../../usecases/mend/find_rotatable.ts";
import type { StepEnd } from "../step.ts";
import { choice, linesOf, typeOf } from "./item_choice.ts";
import type { RestoreWork } from "./restore_work.ts";

/** Lines and names that a report holds; what is more is counted. */
const MOST_LINES = 100;

/** The result of a dry run. */
interface Plan {
  planned: Partial<Record<ItemStep["action"], number>>;
  steps: ItemStep[];
  stepsTotal: number;
  hazards: ItemStep[];
}

function planOf(job: Job): Plan & { toDo: ItemStep[]; byHand: string[] } {
  const plan = job.result as unknown as Plan;
  const toDo = plan.steps.filter(({ action }) => action === "create" || action === "replace");
  const byHand = plan.steps.filter(({ action }) => action === "by-hand").map(({ title }) => title);
  return { ...plan, toDo, byHand };
}

/** Of a dry run: what differs, and what else is to be known. */
export async function assessed(work: RestoreWork, job: Job): Promise<StepEnd> {
  const plan = planOf(job);
  const { create = 0, replace = 0 } = plan.planned;
  const details = {
    backupType: typeOf(work),
    assessed: true,
    ...{ backupId: job.backupId, jobId: job.jobId, planned: toJson(plan.planned) },
    toRestore: create + replace,
    // Of a longer list a part would leave the rest behind.
    ...(plan.stepsTotal > plan.steps.length ? {} : { differing: plan.toDo.map(({ key }) => key) }),
    differences: shorten(plan.toDo.map(({ title }) => title)),
    hazards: toJson(plan.hazards.map(({ key, hazards = [] }) => ({ key, hazards }))),
  };
  const found = `${create} missing, ${replace} different, of ${plan.stepsTotal} beside backup ` +
    job.backupId;
  const more = await lookFurther(work);
  return {
    state: "done",
    found: `${found}${plan.byHand.length === 0 ? "" : `; ${plan.byHand.length} by hand`}`,
    details: { ...details, ...more.details },
    byHand: shorten([...plan.byHand, ...more.byHand]),
  };
}

/** What a comparison with a backup cannot show. */
type Further = Pick<StepEnd, "details" | "byHand">;

async function lookFurther(work: RestoreWork): Promise<Further> {
  if (typeOf(work) === "secrets") return await rotatable(work);
  return typeOf(work) === "function" ? await unwell(work) : { details: {}, byHand: [] };
}

/** Functions that are deployed and do not run. */
async function unwell({ deps, signal }: RestoreWork): Promise<Further> {
  const { api } = deps.project.management();
  const functions = api === null ? [] : await listFunctions(api, signal);
  const ill = functions.filter(({ status }) => status !== "ACTIVE");
  return {
    details: { notActive: ill.map(({ slug, status }) => `${slug}: ${status}`) },
    byHand: ill.map(({ slug, status }) =>
      `function ${slug} is ${status}: look at it in the dashboard`
    ),
  };
}

/** What could be rotated, for a caller who has named nothing yet. */
async function rotatable({ deps, execution, signal }: RestoreWork): Promise<Further> {
  const { names, reasons } = await findRotatable(deps, signal);
  const named = new Set(execution.rotate);
  const rest = names.filter((name) => !named.has(name));
  const line = `to rotate, post the trigger again with rotate: ${JSON.stringify(rest)}`;
  return {
    details: { rotatable: names },
    byHand: [...(execution.rotate.length > 0 || rest.length === 0 ? [] : [line]), ...reasons],
  };
}

/** Of a drill: what would have been done. */
export function rehearsed(
  work: RestoreWork,
  { backupId, toRestore, jobId }: StepEnd["details"],
): StepEnd {
  return {
    state: "done",
    found: `a drill: ${toRestore} would be restored from backup ${backupId}`,
    details: { backupType: typeOf(work), backupId: backupId ?? null, jobId: jobId ?? null },
    byHand: [],
  };
}

/** The result of a restore. */
interface Outcome {
  safetyBackupId: string | null;
  outcomes: Partial<Record<string, number>>;
  byHand: { key: string; title: string }[];
}

/** Of a restore. */
export function restored(work: RestoreWork, job: Job): StepEnd {
  const { safetyBackupId, outcomes, byHand } = job.result as unknown as Outcome;
  const done = outcomes.done ?? 0;
  const left = linesOf(choice(work).left);
  const details: Record<string, Json> = {
    backupType: typeOf(work),
    ...{ backupId: job.backupId, jobId: job.jobId, safetyBackupId, restored: done > 0 },
    ...{ outcomes: toJson(outcomes), left: left.length },
  };
  const lines = shorten([...left, ...byHand.map(({ title }) => title)]);
  const found = done === 0
    ? `nothing to restore: all that can be is as in backup ${job.backupId}`
    : `${done} restored from backup ${job.backupId}, each read back`;
  return { state: done === 0 ? "skipped" : "done", found, details, byHand: lines };
}

/** @throws `restore_mismatch` when something that a restore can put back still differs, or is missing */
export function verified(work: RestoreWork, job: Job): StepEnd {
  const plan = planOf(job);
  const isDrill = work.execution.mode === "drill";
  const left = new Set(choice(work).left.map(({ key }) => key));
  const open = [
    ...plan.toDo.filter(({ key }) => !left.has(key)),
    ...plan.steps.filter(isMissingSecret),
  ];
  if (open.length > 0 && !isDrill) {
    const titles = open.map(({ title }) => title);
    throw new BackupError(
      "restore_mismatch",
      `Cannot confirm that all is as in backup ${job.backupId}: ${titles[0]}` +
        (titles.length > 1 ? ` (and ${titles.length - 1} more)` : ""),
      {
        hint: "Supply or restore what is named, then post the trigger again.",
        details: { backupId: job.backupId, open: shorten(titles) },
      },
    );
  }
  const kept = plan.planned.keep ?? 0;
  return {
    state: "done",
    found: isDrill
      ? `a drill: ${kept} of ${plan.stepsTotal} are as in backup ${job.backupId}`
      : `${kept} of ${plan.stepsTotal} are as in backup ${job.backupId}, none is missing`,
    details: { backupType: typeOf(work), backupId: job.backupId, jobId: job.jobId },
    byHand: shorten(plan.byHand),
  };
}

/** Legacy keys are missing where they were switched off, which is no loss. */
function isMissingSecret({ key, difference }: ItemStep): boolean {
  return difference === "missing" && !key.startsWith("api-key/legacy");
}

function shorten(lines: readonly string[]): string[] {
  if (lines.length <= MOST_LINES) return [...lines];
  return [...lines.slice(0, MOST_LINES), `and ${lines.length - MOST_LINES} more`];
}
