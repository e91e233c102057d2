/** @module */
import { z } from "zod";
import { secretReference } from "../core/settings.ts";
import { startRestore } from "../usecases/start_restore.ts";
import { TEST_BACKUP } from "../usecases/start_test_restore.ts";
import { defined, defineLongAction } from "./action.ts";

/** What a restore test does not let be chosen. */
const CHOICES = [
  "dryRun",
  "mode",
  "schemas",
  "tables",
  "intoSchema",
  "target",
  "targetDatabaseUrl",
] as const;

const name = z.string().min(1).max(130);

/** Restores a backup of the database. */
export const restore = defineLongAction({
  name: "restore",
  method: "POST",
  summary:
    "Restore a backup over the live database, beside it, or into another one; dryRun plans only.",
  input: z.strictObject({
    backupId: z.string().min(1).max(255).describe(
      "A backup's id, or latest; test_backup tries the latest in a scratch database and drops it.",
    ),
    type: z.literal("database"),
    dryRun: z.boolean().default(false),
    mode: z.enum(["empty", "over", "beside"]).optional(),
    schemas: z.array(name).min(1).max(200).optional(),
    tables: z.array(name).min(1).max(1000).optional().describe("As schema.table."),
    intoSchema: z.string().min(1).max(63).optional(),
    targetDatabaseUrl: secretReference.optional()
      .describe("Another database than the live one, as a reference."),
    target: z.enum(["supabase", "plain"]).optional(),
    acceptHazards: z.array(z.string().min(1).max(64)).max(50).default([]),
    skipSafetyBackup: z.boolean().default(false),
    includeAuthSessions: z.boolean().default(false),
    reason: z.string().min(1).max(500).optional(),
  }).superRefine((input, context) => {
    // A test restores all of the backup into a place of its own: a choice would not be heeded.
    if (input.backupId !== TEST_BACKUP) return;
    for (const field of CHOICES) {
      if (input[field] === undefined || input[field] === false) continue;
      context.addIssue({ code: "custom", path: [field], message: `not with ${TEST_BACKUP}` });
    }
  }),
  // Also with another target: a reference may lead back to the live database.
  needsAdmin: ({ dryRun, backupId }) => !dryRun && backupId !== TEST_BACKUP,
  run: (deps, { type: _, reason = null, targetDatabaseUrl = null, ...request }, caller) =>
    startRestore(deps, caller, { ...defined(request), reason, targetDatabaseUrl }),
});
