/** @module */
import { z } from "zod";
import { startReplicate } from "../usecases/replicate/start_replicate.ts";
import { defineLongAction } from "./action.ts";

/** Copies backups to another destination, and repairs what is missing or damaged there. */
export const replicate = defineLongAction({
  name: "replicate",
  method: "POST",
  summary:
    "Copy all backups to a further destination and repair what is missing or damaged there; " +
    "dryRun only tells.",
  input: z.strictObject({
    destination: z.string().min(1).max(32).optional()
      .describe("Name of the destination; may be left out where there is only one."),
    level: z.enum(["quick", "full"]).default("quick")
      .describe(
        "quick copies what is missing or of another size; full also reads back what both places have.",
      ),
    dryRun: z.boolean().default(false)
      .describe("Says what the copy lacks, and changes nothing."),
  }),
  run: (deps, { destination, level, dryRun }, caller) =>
    startReplicate(deps, caller, { destination, level, dryRun }),
});
