/** @module */
import { z } from "zod";
import { startBackup } from "../usecases/start_backup.ts";
import { defineLongAction } from "./action.ts";

/** One backup of the database. */
export const backupDatabase = defineLongAction({
  name: "backup-database",
  method: "POST",
  summary: "Back up the database. The job's id is the backup's id.",
  input: z.strictObject({
    reason: z.string().min(1).max(500).optional(),
  }),
  run: (deps, input, caller) => startBackup(deps, caller, input),
});
