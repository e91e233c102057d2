/**
 * Restores from a backup, or looks whether that is needed.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../../core/errors.ts";
import { JOB_TYPES } from "../../core/job.ts";
import type { StepKind } from "../step.ts";

/** The guide's three, and what the guide is silent about. */
const parameters = z.strictObject({
  backupType: z.enum(JOB_TYPES),
  useLatest: z.boolean().default(true),
  /** Instead of the latest. */
  backupId: z.string().min(1).max(255).optional(),
  /** Changes nothing. `assess` tells what differs from the backup, `verify` fails when something does. */
  check: z.enum(["assess", "verify"]).optional(),
  /** For items: only these keys, or beginnings of keys that end with `/`. */
  items: z.array(z.string().min(1).max(1125)).max(1000).default([]),
  /** Hazards that the plan's author accepts, as the restore names them. */
  acceptHazards: z.array(z.string().min(1).max(1125)).max(50).default([]),
}).superRefine(({ useLatest, backupId }, context) => {
  if (useLatest === (backupId !== undefined)) {
    const message = useLatest
      ? "not together with useLatest"
      : "is needed unless useLatest is true";
    context.addIssue({ code: "custom", path: ["backupId"], message });
  }
});

/** See the module. */
export const backupRestore: StepKind = {
  type: "backup_restore",
  parameters,
  run: () => Promise.reject(new BackupError("internal", "not built")),
};
