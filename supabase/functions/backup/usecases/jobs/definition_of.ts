/**
 * What a job is made of, by what was asked for when it began: any worker can go on with it.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { isFinished, type Job } from "../../core/job.ts";
import type { JobEnd, StartedJob } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import type { Deps } from "../deps.ts";
import { getJob } from "./get_job.ts";
import type { AskedJob } from "./job_request.ts";
import { recordAudit } from "./record_audit.ts";
import { defineBackup } from "../backup/start_backup.ts";
import { defineCleanup } from "../keep/start_cleanup.ts";
import { concludePoint } from "../points/start_point.ts";
import { defineItemRestore } from "../items/start_item_restore.ts";
import { definePointRestore } from "../points/start_point_restore.ts";
import { defineReplicate } from "../replicate/start_replicate.ts";
import { defineRestore } from "../restore/start_restore.ts";
import { defineRestoreTest } from "../restore/start_test_restore.ts";
import { defineVerify } from "../verify/start_verify.ts";
import { tellEnd } from "../people/tell_end.ts";

/** @throws `invalid_config`, `key_missing`, `key_wrong`, `storage_*` */
export async function definitionOf(
  deps: Deps,
  { job, request }: StartedJob,
): Promise<JobDefinition> {
  const asked = request as unknown as AskedJob;
  const definition = await definitionOrEnd(deps, job, asked);
  return {
    ...definition,
    async end(how, context) {
      if (how !== "begins-again") await tellEnd(deps, { how, job, asked });
      await definition.end?.(how, context);
      if (how === "begins-again") return;
      await auditEnd(deps, { how, jobId: job.jobId, asked });
      if (asked.task === "backup" && asked.point) await concludePoint(deps, asked.point);
    },
  };
}

/** What made a job fail may keep it from being defined: then its end is told all the same. */
async function definitionOrEnd(deps: Deps, job: Job, asked: AskedJob): Promise<JobDefinition> {
  try {
    return await define(deps, job, asked);
  } catch (error) {
    if (!isFinished(job)) throw error;
    deps.reportError(toBackupError(error), `end of ${job.jobId}`);
    return { first: () => [], run: () => Promise.reject(error) };
  }
}

function define(deps: Deps, job: Job, asked: AskedJob): Promise<JobDefinition> {
  switch (asked.task) {
    case "backup":
      return defineBackup(deps, job, asked);
    case "cleanup":
      return defineCleanup(deps, asked);
    case "replicate":
      return defineReplicate(deps, job, asked);
    case "verify":
      return defineVerify(deps, job, asked);
    case "restore":
      return defineRestore(deps, job, asked);
    case "restore-point":
      return definePointRestore(deps, job, asked.request);
    case "restore-items":
      return defineItemRestore(deps, job, asked.request);
    case "restore-test":
      return defineRestoreTest(deps, job, asked);
    default:
      throw unknownPart((asked satisfies never as { task: string }).task);
  }
}

async function auditEnd(
  deps: Deps,
  { how, jobId, asked }: { how: Exclude<JobEnd, "begins-again">; jobId: string; asked: AskedJob },
): Promise<void> {
  const { action, caller } = asked;
  const details = how === "completed" ? {} : { code: await codeOf(deps, jobId) };
  await recordAudit(deps, caller, { action, subject: jobId, outcome: how, details });
}

async function codeOf(deps: Deps, jobId: string): Promise<string> {
  try {
    return (await getJob(deps, jobId)).error?.code ?? "internal";
  } catch (error) {
    return toBackupError(error).code; // the log still says that it has ended
  }
}
