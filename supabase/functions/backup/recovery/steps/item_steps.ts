/**
 * Edge Functions, settings, secrets and files in a recovery plan: what is gone or differs is put back, and
 * nothing else is touched. All of it are jobs of a restore of items; those that only look are dry runs.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { ItemStep, ItemType } from "../../core/items.ts";
import type { Job } from "../../core/job.ts";
import { toJson } from "../../core/json.ts";
import type { Json } from "../../core/part.ts";
import { listFunctions } from "../../project/mod.ts";
import { startItemRestore } from "../../usecases/start_item_restore.ts";
import { findOnce, startOnce } from "../../usecases/start_once.ts";
import { findRotatable } from "../../usecases/rotate_secrets.ts";
import type { StepEnd } from "../step.ts";
import {
  backupOf,
  completedJob,
  earlierDetails,
  reasonOf,
  type RestoreWork,
  type Restoring,
  startOverBackup,
  waitingFor,
} from "./restore_work.ts";

/** Lines and names that a report holds; what is more is counted. */
const MOST_LINES = 100;

/** Types that only get what they lack: what is there may be newer than the backup, and is not the damage. */
const ONLY_LACKING: readonly ItemType[] = ["secrets", "files"];

/** See the module. */
export const itemRestoring: Restoring = {
  async run(work) {
    const isLook = work.parameters.checkOnly || work.execution.mode === "drill";
    const started = await findOnce(work.deps, keyOf(work));
    if (started === null) {
      const look = lookBefore(work);
      if (look !== undefined && isRehearsal(work)) return rehearsed(work, look);
      const needless = whyNeedless(work);
      if (needless !== null) return skipped(work, needless);
      const { only, left } = choice(work);
      if (!isLook && only.length === 0 && left.length > 0) {
        return { ...skipped(work, "what differs is left to a person"), byHand: linesOf(left) };
      }
    }
    // A look waits for a backup that is in its way: it must change nothing.
    const job = started ??
      (isLook ? await start(work, true) : await startOverBackup(work, () => start(work, false)));
    const doing = isLook ? "compares" : "restores";
    return waitingFor(job, `job ${job.jobId} ${doing} ${typeOf(work)} with backup ${job.backupId}`);
  },
  async conclude(work, jobId) {
    const job = await completedJob(work, jobId);
    const { parameters, execution } = work;
    if (parameters.mustMatch) return await verified(work, job);
    if (parameters.checkOnly) return await assessed(work, job);
    if (execution.mode === "live") return restored(work, job);
    return rehearsed(work, (await assessed(work, job)).details);
  },
};

function typeOf({ parameters }: RestoreWork): ItemType {
  return parameters.backupType as ItemType; // the database has steps of its own
}

function keyOf(work: RestoreWork) {
  const { idempotencyKey: key, parameters } = work;
  return { key, kind: "restore", type: typeOf(work), freshly: parameters.checkOnly } as const;
}

function start(work: RestoreWork, dryRun: boolean): Promise<Job> {
  const { deps, caller, parameters, execution } = work;
  const type = typeOf(work);
  const { only, acceptHazards } = choice(work);
  return startOnce(deps, {
    ...keyOf(work),
    start: (jobId) =>
      startItemRestore(deps, caller, {
        ...{ jobId, type, dryRun, backupId: backupOf(work), reason: reasonOf(work) },
        only: dryRun ? parameters.items ?? [] : only,
        replace: execution.force || !ONLY_LACKING.includes(type),
        acceptHazards,
        skipSafetyBackup: false,
      }),
  });
}

/** Why nothing is to be done, by what the steps before found; null when something is, or nobody looked. */
function whyNeedless(work: RestoreWork): string | null {
  const { parameters, execution } = work;
  const before = earlierDetails(work);
  if (parameters.mustMatch) {
    const isRestored = before.some(({ restored }) => restored === true);
    // Rotated secrets are looked at, also where none was missing.
    if (isRestored || parameters.backupType === "secrets") return null;
    return "nothing was restored, so that there is nothing to verify";
  }
  if (parameters.checkOnly || execution.mode === "drill" || execution.force) return null;
  const look = lookBefore(work);
  if (look === undefined || look.toRestore !== 0 || hazardsOf(look).length > 0) return null;
  if (parameters.backupType === "secrets") return null; // tells what must be supplied
  return `nothing to restore: all is as in backup ${look.backupId}`;
}

/**
 * What is restored of what an assessment found to differ: items with hazards that nobody accepted are left
 * to a person, and do not stand against the others.
 */
function choice(work: RestoreWork): { only: string[]; acceptHazards: string[]; left: Hazardous[] } {
  const { items = [], acceptHazards } = work.parameters;
  const look = lookBefore(work);
  const hazards = look === undefined ? [] : hazardsOf(look);
  const left = hazards.filter(({ key }) => !acceptHazards.includes(key));
  const differing = look?.differing as string[] | undefined;
  if (differing === undefined || differing.length === 0) {
    return { only: items, acceptHazards, left: [] };
  }
  const leave = new Set(left.map(({ key }) => key));
  return { only: differing.filter((key) => !leave.has(key)), acceptHazards, left };
}

/** What a step before has found; undefined when none has looked. */
function lookBefore(work: RestoreWork): StepEnd["details"] | undefined {
  return earlierDetails(work).find(({ assessed }) => assessed === true);
}

/** Whether the step would act, if this were no drill. */
function isRehearsal({ parameters, execution }: RestoreWork): boolean {
  return execution.mode === "drill" && !parameters.checkOnly;
}

/** An item whose restore could do harm. */
type Hazardous = { key: string; hazards: string[] };

function hazardsOf(look: StepEnd["details"]): Hazardous[] {
  return (look.hazards ?? []) as unknown as Hazardous[];
}

function skipped(work: RestoreWork, found: string): StepEnd {
  return { state: "skipped", found, details: { backupType: typeOf(work) }, byHand: [] };
}

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

async function assessed(work: RestoreWork, job: Job): Promise<StepEnd> {
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

function rehearsed(work: RestoreWork, { backupId, toRestore, jobId }: StepEnd["details"]): StepEnd {
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

function restored(work: RestoreWork, job: Job): StepEnd {
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

function linesOf(left: readonly Hazardous[]): string[] {
  return left.map(({ key, hazards }) =>
    `${key} is left as it is (${hazards.join("; ")}): restore it with action=restore, ` +
    `items and acceptHazards [${JSON.stringify(key)}]`
  );
}

/** @throws `restore_mismatch` when something that a restore can put back still differs, or is missing */
async function verified(work: RestoreWork, job: Job): Promise<StepEnd> {
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
  return await Promise.resolve({
    state: "done",
    found: isDrill
      ? `a drill: ${kept} of ${plan.stepsTotal} are as in backup ${job.backupId}`
      : `${kept} of ${plan.stepsTotal} are as in backup ${job.backupId}, none is missing`,
    details: { backupType: typeOf(work), backupId: job.backupId, jobId: job.jobId },
    byHand: shorten(plan.byHand),
  });
}

/** Legacy keys are missing where they were switched off, which is no loss. */
function isMissingSecret({ key, difference }: ItemStep): boolean {
  return difference === "missing" && !key.startsWith("api-key/legacy");
}

function shorten(lines: readonly string[]): string[] {
  if (lines.length <= MOST_LINES) return [...lines];
  return [...lines.slice(0, MOST_LINES), `and ${lines.length - MOST_LINES} more`];
}
