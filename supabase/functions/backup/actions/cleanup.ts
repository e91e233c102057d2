/** @module */
import { z } from "zod";
import { startCleanup } from "../usecases/keep/start_cleanup.ts";
import { defineLongAction } from "./action.ts";

/** Retention, freeing space, pruning records. */
export const cleanup = defineLongAction({
  name: "cleanup",
  method: "POST",
  summary: "Apply retention, free space in the storage and prune old records; dryRun only tells.",
  input: z.strictObject({
    dryRun: z.boolean().default(false)
      .describe("Says what would expire and be freed, and why, and changes nothing."),
  }),
  needsAdmin: ({ dryRun }) => !dryRun,
  run: (deps, { dryRun }, caller) => startCleanup(deps, caller, { dryRun }),
});
