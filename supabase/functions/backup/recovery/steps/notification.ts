/**
 * Tells people.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../../core/errors.ts";
import type { StepKind } from "../step.ts";

const parameters = z.strictObject({
  message: z.string().min(1).max(2000),
  /** @default those of the settings */
  channels: z.array(z.string().min(1).max(64)).min(1).max(20).optional(),
  priority: z.enum(["low", "medium", "high", "critical"]).default("medium"),
});

/** See the module. */
export const notification: StepKind = {
  type: "notification",
  parameters,
  run: () => Promise.reject(new BackupError("internal", "not built")),
};
