/** @module */
import { z } from "zod";
import { settingsPatchSchema, settingsSchema } from "../core/settings.ts";
import { updateConfig as change } from "../usecases/service/update_config.ts";
import { defineAction, defined } from "./action.ts";

/** Changes settings, or returns to an earlier version of them. */
export const updateConfig = defineAction({
  name: "update-config",
  method: "POST",
  summary: "Change settings, or go back to an earlier version; dryRun shows the outcome.",
  input: z.strictObject({
    updates: settingsPatchSchema.optional(),
    unset: z.array(z.string().min(1).max(255)).min(1).max(200).optional().describe(
      "Settings to take back: the environment or the default holds again.",
    ),
    rollbackTo: z.number().int().min(0).max(2_147_483_647).optional().describe(
      "A version to go back to; 0 is the one before all changes.",
    ),
    expectedVersion: z.number().int().min(0).optional().describe(
      "Version that you have seen: 409 when somebody changed the settings since.",
    ),
    dryRun: z.boolean().default(false),
  }).refine(
    ({ updates, unset, rollbackTo }) =>
      (updates === undefined && unset === undefined) !== (rollbackTo === undefined),
    { path: ["updates"], message: "give either updates and unset, or rollbackTo" },
  ),
  output: z.object({
    version: z.number(),
    dryRun: z.boolean(),
    changed: z.array(z.string()),
    settings: settingsSchema,
    warnings: z.array(z.string()),
  }),
  needsAdmin: ({ dryRun }) => !dryRun,
  run: (deps, input, caller) => change(deps, caller, defined(input)),
});
