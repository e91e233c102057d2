/** @module */
import { z } from "zod";
import { settingsPatchSchema, settingsSchema } from "../core/settings.ts";
import { updateConfig as change } from "../usecases/update_config.ts";
import { defineAction } from "./action.ts";

/** Changes settings, or returns to an earlier version of them. */
export const updateConfig = defineAction({
  name: "update-config",
  method: "POST",
  summary: "Change settings, or go back to an earlier version; dryRun shows the outcome.",
  input: z.strictObject({
    updates: settingsPatchSchema.optional(),
    rollbackTo: z.number().int().min(0).optional(),
    dryRun: z.boolean().default(false),
  }).refine((input) => (input.updates === undefined) !== (input.rollbackTo === undefined), {
    path: ["updates"],
    message: "give either updates or rollbackTo",
  }),
  output: z.object({
    version: z.number(),
    dryRun: z.boolean(),
    changed: z.array(z.string()),
    settings: settingsSchema,
  }),
  needsAdmin: ({ dryRun }) => !dryRun,
  run: (deps, { updates, rollbackTo, dryRun }, caller) =>
    change(deps, caller, {
      dryRun,
      ...(updates === undefined ? {} : { updates }),
      ...(rollbackTo === undefined ? {} : { rollbackTo }),
    }),
});
