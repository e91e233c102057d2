/** @module */
import { z } from "zod";
import { JOB_TYPES } from "../core/job.ts";
import { secretReference } from "../core/storage_settings.ts";
import { startItemRestore } from "../usecases/items/start_item_restore.ts";
import { startPointRestore } from "../usecases/points/start_point_restore.ts";
import { startRestore } from "../usecases/restore/start_restore.ts";
import { TEST_BACKUP } from "../usecases/restore/start_test_restore.ts";
import { defined, defineLongAction, reasonSchema } from "./action.ts";

/** What a restore test does not let be chosen. */
const CHOICES = [
  "dryRun",
  "mode",
  "schemas",
  "tables",
  "onlyLost",
  "intoSchema",
  "target",
  "targetDatabaseUrl",
] as const;

/** A bucket's name of 100 characters, a slash and an object's of 1,024. */
const itemKey = z.string().min(1).max(1125);

const name = z.string().min(1).max(130);

/** What only a restore of the database knows, and what only one of items does. */
const OF_DATABASE = [
  ...CHOICES.filter((each) => each !== "dryRun"),
  "includeAuthSessions",
] as const;
const OF_ITEMS = ["items", "onExisting"] as const;

/** What chooses a part of one backup. */
const OF_PARTS = ["schemas", "tables", "onlyLost", "intoSchema", "items"] as const;

/** Restores a backup of any type. */
export const restore = defineLongAction({
  name: "restore",
  method: "POST",
  summary:
    "Restore a backup: the database over the live one, beside it or elsewhere; functions, settings " +
    "and files, all or chosen ones; secrets are compared. dryRun plans only.",
  input: z.strictObject({
    backupId: z.string().min(1).max(255).describe(
      "A backup's id (with type all: a recovery point's), or latest; test_backup tries the latest " +
        "in a scratch database and drops it.",
    ),
    type: z.enum([...JOB_TYPES, "all"]).describe("all: every part of a recovery point, in order."),
    dryRun: z.boolean().default(false).describe("Plans, answers the plan and changes nothing."),
    mode: z.enum(["empty", "over", "beside"]).optional().describe(
      "Into an empty database, over a live one, or beside what is there. Left out: what fits the target.",
    ),
    schemas: z.array(name).min(1).max(200).optional().describe("Only these of the database."),
    tables: z.array(name).min(1).max(1000).optional().describe("As schema.table."),
    onlyLost: z.boolean().default(false).describe(
      "Of tables only what is lost: rows of those that have none, and those that are gone with what fell " +
        "with them. A table that holds rows is refused.",
    ),
    intoSchema: z.string().min(1).max(63).optional()
      .describe("Lays one schema or tables of one beside the live ones, under this name."),
    targetDatabaseUrl: secretReference.optional()
      .describe("Another database than the live one, as a reference."),
    target: z.enum(["supabase", "plain"]).optional().describe(
      "plain: a PostgreSQL that is no project of Supabase; what only Supabase has is made up or left out, and told.",
    ),
    items: z.array(itemKey).min(1).max(1000).optional().describe(
      "Slugs of functions, sections, or bucket/name; bucket/ or bucket/folder/ for all in it.",
    ),
    onExisting: z.enum(["replace", "skip"]).optional()
      .describe("What becomes of functions, settings and files that are there and differ."),
    cronJobs: z.enum(["inactive", "as-saved"]).optional().describe(
      "With type all: whether jobs of pg_cron come back switched off. Default inactive.",
    ),
    acceptHazards: z.array(itemKey).max(1000).default([]).describe(
      "Names of a plan's hazards; for items, keys of the items that have them, or bucket/.",
    ),
    skipSafetyBackup: z.boolean().default(false)
      .describe("Saves nothing first; needs the hazard no-safety-backup."),
    includeAuthSessions: z.boolean().default(false)
      .describe("Brings back open logins and one-time codes, too."),
    reason: reasonSchema,
  }).superRefine((input, context) => {
    const refuse = (fields: readonly (keyof typeof input)[], message: string) => {
      for (const field of fields) {
        if (input[field] === undefined || input[field] === false) continue;
        context.addIssue({ code: "custom", path: [field], message });
      }
    };
    const { type, backupId } = input;
    refuse(
      type === "all" ? OF_PARTS : type === "database" ? OF_ITEMS : OF_DATABASE,
      `not with type ${type}`,
    );
    if (type !== "all") refuse(["cronJobs"], `not with type ${type}`);
    if (input.tables === undefined) refuse(["onlyLost"], "only together with tables");
    if (input.onlyLost) refuse(["schemas", "intoSchema"], "not together with onlyLost");
    if (backupId !== TEST_BACKUP) return;
    // A test restores all of the backup into a place of its own: a choice would not be heeded.
    if (type === "database") return refuse(CHOICES, `not with ${TEST_BACKUP}`);
    const message =
      `is not ${TEST_BACKUP} with type ${type}: only the database has a scratch target`;
    context.addIssue({ code: "custom", path: ["backupId"], message });
  }),
  // Also with another target: a reference may lead back to the live database.
  needsAdmin: ({ dryRun, backupId }) => !dryRun && backupId !== TEST_BACKUP,
  run: (deps, { type, reason = null, onExisting = "replace", items = [], ...rest }, caller) => {
    const { targetDatabaseUrl = null, cronJobs = "inactive", ...request } = rest;
    if (type === "database") {
      return startRestore(deps, caller, { ...defined(request), reason, targetDatabaseUrl });
    }
    const { backupId, dryRun, acceptHazards, skipSafetyBackup } = request;
    const replace = onExisting === "replace";
    const ofItems = { dryRun, acceptHazards, skipSafetyBackup, replace };
    if (type === "all") {
      const { backupId: pointId, ...database } = defined(request);
      return startPointRestore(deps, caller, {
        ...{ pointId, database, items: ofItems, cronJobs, targetDatabaseUrl, reason },
      });
    }
    return startItemRestore(deps, caller, { ...ofItems, type, backupId, reason, only: items });
  },
});
