/** @module */
import { z } from "zod";
import { settingsPatchSchema } from "../core/settings.ts";
import { initialize } from "../usecases/initialize.ts";
import { defineAction } from "./action.ts";

/** Creates or checks tables, settings, storage and key. */
export const init = defineAction({
  name: "init",
  method: "POST",
  summary: "Create or check everything the service needs; safe to repeat.",
  input: z.strictObject({ config: settingsPatchSchema.optional() }),
  output: z.object({
    recoverable: z.boolean(),
    steps: z.array(z.object({
      step: z.string(),
      done: z.boolean(),
      found: z.string(),
      next: z.string().nullable(),
    })),
    proposedEncryptionKey: z.string().nullable(),
  }),
  needsAdmin: ({ config }) => config !== undefined && Object.keys(config).length > 0,
  run: (deps, { config }, caller) => initialize(deps, caller, config),
});
