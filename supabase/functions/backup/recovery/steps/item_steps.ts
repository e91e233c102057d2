/**
 * Edge Functions, settings, secrets and files in a recovery plan: what is gone or differs is put back, and
 * nothing else is touched. All of it are jobs of a restore of items; those that only look are dry runs.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { ItemType } from "../../core/items.ts";
import type { Job } from "../../core/job.ts";
import { startItemRestore } from "../../usecases/items/start_item_restore.ts";
import { findOnce, startOnce } from "../../usecases/jobs/start_once.ts";
import type { StepEnd } from "../step.ts";
import { choice, linesOf, lookBefore, typeOf, whyNeedless } from "./item_choice.ts";
import { assessed, rehearsed, restored, verified } from "./item_reports.ts";
import {
  backupOf,
  completedJob,
  reasonOf,
  type RestoreWork,
  type Restoring,
  startOverBackup,
  waitingFor,
} from "./restore_work.ts";

/** Types that only get what they lack: what is there may be newer than the backup, and is not the damage. */
const ONLY_LACKING: readonly ItemType[] = ["secrets", "files"];

/** See the module. */
export const itemRestoring: Restoring = {
  async run(work) {
    const isLook = work.parameters.checkOnly || work.execution.mode === "drill";
    if (typeOf(work) === "function") refuseWithoutToken(work);
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
    if (parameters.mustMatch) return verified(work, job);
    if (parameters.checkOnly) return await assessed(work, job);
    if (execution.mode === "live") return restored(work, job);
    return rehearsed(work, (await assessed(work, job)).details);
  },
};

/** Without it nothing was saved either, and "no such backup" would hide why. @throws `invalid_config` */
function refuseWithoutToken({ deps }: RestoreWork): void {
  const access = deps.project.management();
  if (access.api !== null) return;
  throw new BackupError("invalid_config", `Cannot reach Edge Functions: ${access.withoutApi}`, {
    hint: "Make an access token in the account's settings on supabase.com, then " +
      "supabase secrets set BACKUP_MANAGEMENT_TOKEN=<the token>. Until then deploy functions from their source.",
  });
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

/** Whether the step would act, if this were no drill. */
function isRehearsal({ parameters, execution }: RestoreWork): boolean {
  return execution.mode === "drill" && !parameters.checkOnly;
}

function skipped(work: RestoreWork, found: string): StepEnd {
  return { state: "skipped", found, details: { backupType: typeOf(work) }, byHand: [] };
}
