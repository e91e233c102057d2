/**
 * Restores from a backup, or looks whether that is needed.
 *
 * @module
 */
import { z } from "zod";
import { JOB_TYPES } from "../../core/job.ts";
import type { StepContext, StepKind } from "../step.ts";
import { databaseRestoring } from "./database_steps.ts";
import { itemRestoring } from "./item_steps.ts";
import { readParameters } from "./read_parameters.ts";
import type { RestoreParameters, RestoreWork, Restoring } from "./restore_work.ts";

/** The guide's three, and what the guide is silent about. */
const parameters: z.ZodType<RestoreParameters> = z.strictObject({
  backupType: z.enum(JOB_TYPES),
  useLatest: z.boolean().default(true),
  backupId: z.string().min(1).max(255).optional(),
  checkOnly: z.boolean().default(false),
  mustMatch: z.boolean().default(false),
  items: z.array(z.string().min(1).max(1125)).min(1).max(1000).optional(),
  acceptHazards: z.array(z.string().min(1).max(1125)).max(50).default([]),
}).superRefine(({ useLatest, backupId, mustMatch, checkOnly, items, backupType }, context) => {
  const refuse = (field: string, message: string) =>
    context.addIssue({ code: "custom", path: [field], message });
  if (useLatest && backupId !== undefined) refuse("backupId", "not together with useLatest");
  if (!useLatest && backupId === undefined) refuse("backupId", "is needed without useLatest");
  if (mustMatch && !checkOnly) refuse("mustMatch", "only together with checkOnly");
  if (backupType === "database" && items !== undefined) refuse("items", "not with type database");
});

/** See the module. */
export const backupRestore: StepKind = {
  type: "backup_restore",
  parameters,
  run(context) {
    const work = workOf(context);
    return restoringOf(work).run(work);
  },
  conclude(context, jobId) {
    const work = workOf(context);
    return restoringOf(work).conclude(work, jobId);
  },
};

function workOf(context: StepContext): RestoreWork {
  return { ...context, parameters: readParameters(parameters, context.step) };
}

function restoringOf({ parameters }: RestoreWork): Restoring {
  return parameters.backupType === "database" ? databaseRestoring : itemRestoring;
}
