/** @module */
import { z } from "zod";
import { startBackup } from "../usecases/backup/start_backup.ts";
import { type Action, defineLongAction, reasonSchema } from "./action.ts";

const reason = reasonSchema;

/** One backup of the database. */
export const backupDatabase = defineLongAction({
  name: "backup-database",
  method: "POST",
  summary: "Back up the database. The job's id is the backup's id.",
  input: z.strictObject({ reason }),
  run: (deps, input, caller) => startBackup(deps, caller, { type: "database", ...input }),
});

const WHAT = {
  function: "the code and settings of every Edge Function",
  config: "the project's settings",
  secrets: "names, digests and times of secrets, never their values",
  files: "all buckets and objects of Storage",
} as const;

/** One backup of each other type. */
export const ITEM_BACKUPS: readonly Action[] = (["function", "config", "secrets", "files"] as const)
  .map((type) =>
    defineLongAction({
      name: `backup-${type}`,
      method: "POST",
      summary: `Back up ${WHAT[type]}. What has not changed is not read again.`,
      input: z.strictObject({ reason }),
      run: (deps, input, caller) => startBackup(deps, caller, { type, ...input }),
    })
  );
