/** @module */
import { z } from "zod";
import { testRestore } from "../usecases/restore/test_restore.ts";
import { defineLongAction, reasonSchema } from "./action.ts";

/** Proves that a backup can be restored. */
export const testRestoreAction = defineLongAction({
  name: "test-restore",
  method: "POST",
  summary:
    "Restore a backup of the database into a scratch database, compare the two and drop it; touches nothing else.",
  input: z.strictObject({
    backupId: z.string().min(1).max(255).default("latest").describe("A backup's id, or latest."),
    reason: reasonSchema,
  }),
  run: (deps, { backupId, reason = null }, caller) =>
    testRestore(deps, caller, { backupId, reason }),
});
