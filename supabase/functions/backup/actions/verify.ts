/** @module */
import { z } from "zod";
import { startVerify } from "../usecases/verify/start_verify.ts";
import { defineLongAction } from "./action.ts";

/** Checks stored bytes. */
export const verify = defineLongAction({
  name: "verify",
  method: "POST",
  summary: "Check what is stored: quick looks at presence and size, full reads and decrypts all.",
  input: z.strictObject({
    backupId: z.string().min(1).max(255).optional(),
    level: z.enum(["quick", "full"]).default("quick"),
    destination: z.string().min(1).max(32).optional()
      .describe("Name of a destination: its copy is checked. Without it the primary storage is."),
  }),
  run: (deps, { backupId = null, ...wish }, caller) =>
    startVerify(deps, caller, { backupId, ...wish }),
});
