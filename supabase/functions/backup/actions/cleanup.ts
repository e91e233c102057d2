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
    destination: z.string().min(1).max(32).optional()
      .describe(
        "Name of a destination: its copy is cleaned up. Without it the primary storage is.",
      ),
  }),
  needsAdmin: ({ dryRun }) => !dryRun,
  run: (deps, wish, caller) => startCleanup(deps, caller, wish),
});
