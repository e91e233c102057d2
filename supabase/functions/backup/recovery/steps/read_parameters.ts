/**
 * Reads a step's parameters. They were checked when the plan was added; a plan from storage may be of
 * another release.
 *
 * @module
 */
import type { z } from "zod";
import { BackupError } from "../../core/errors.ts";
import { describeIssues } from "../../core/settings.ts";
import type { RecoveryStep } from "../step.ts";

/** @throws `invalid_request` naming what is wrong */
export function readParameters<T>(schema: z.ZodType<T>, step: RecoveryStep): T {
  const parsed = schema.safeParse(step.parameters);
  if (parsed.success) return parsed.data;
  const issues = describeIssues(parsed.error);
  const words = issues.map(({ path, message }) => `parameters.${path}: ${message}`).join("; ");
  throw new BackupError("invalid_request", `Cannot run step ${step.id}: ${words}`, {
    hint: "Correct the plan.",
    details: { issues },
  });
}
