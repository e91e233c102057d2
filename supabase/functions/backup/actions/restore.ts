/** @module */
import { z } from "zod";
import { secretReference } from "../core/settings.ts";
import { startRestore } from "../usecases/start_restore.ts";
import { defineLongAction } from "./action.ts";

/** Absent fields are absent, not undefined: what is not said has its default further down. */
function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

const name = z.string().min(1).max(130);

/** Restores a backup of the database. */
export const restore = defineLongAction({
  name: "restore",
  method: "POST",
  summary:
    "Restore a backup over the live database, beside it, or into another one; dryRun plans only.",
  input: z.strictObject({
    backupId: z.string().min(1).max(255).describe("A backup's id, or latest."),
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
  }),
  // Also with another target: a reference may lead back to the live database.
  needsAdmin: ({ dryRun }) => !dryRun,
  run: (deps, { type: _, reason = null, targetDatabaseUrl = null, ...request }, caller) =>
    startRestore(deps, caller, { ...defined(request), reason, targetDatabaseUrl }),
});
