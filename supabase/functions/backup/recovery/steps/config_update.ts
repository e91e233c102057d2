/**
 * Changes a setting: of this service, of the project, or the secrets that are to be rotated.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../../core/errors.ts";
import type { Json } from "../../core/part.ts";
import type { StepKind } from "../step.ts";

const json: z.ZodType<Json> = z.json();

const parameters = z.strictObject({
  configKey: z.string().min(1).max(200),
  configValue: json,
  restartRequired: z.boolean().default(false),
});

/** See the module. */
export const configUpdate: StepKind = {
  type: "config_update",
  parameters,
  run: () => Promise.reject(new BackupError("internal", "not built")),
};
