/** @module */
import { z } from "zod";
import { settingsPatchSchema } from "../core/settings.ts";
import { INIT_STEPS, initialize } from "../usecases/service/initialize.ts";
import { defineAction, defined } from "./action.ts";

/** Creates or checks tables, settings, storage and key. */
export const init = defineAction({
  name: "init",
  method: "POST",
  summary: "Create or check everything the service needs; safe to repeat.",
  input: z.strictObject({
    config: settingsPatchSchema.optional(),
    confirmKeyFingerprint: z.string().regex(/^[0-9a-fA-F]{16}$/, "has 16 hexadecimal digits")
      .optional().describe("Fingerprint of the copy of the key that is kept outside."),
    giveUpBackups: z.array(z.string().min(1).max(255)).min(1).max(1000).optional()
      .describe("Ids of lost backups that are not expected any more."),
    takeOverRepository: z.string().min(1).max(64).optional().describe(
      "The repository's present owner (a project's ref, or a system identifier): this database becomes it " +
        "instead and goes on with its backups.",
    ),
  }),
  output: z.object({
    recoverable: z.boolean(),
    steps: z.array(z.object({
      step: z.enum(INIT_STEPS),
      done: z.boolean(),
      found: z.string(),
      next: z.string().nullable(),
    })),
    proposedEncryptionKey: z.string().nullable(),
  }),
  // What changes nothing but what is missing needs no second key.
  needsAdmin: ({ config = {}, confirmKeyFingerprint, giveUpBackups, takeOverRepository }) =>
    Object.keys(config).length > 0 ||
    [confirmKeyFingerprint, giveUpBackups, takeOverRepository].some((each) => each !== undefined),
  run: (deps, input, caller) => initialize(deps, caller, defined(input)),
});
