/** @module */
import { z } from "zod";
import { uninstall as remove } from "../usecases/service/uninstall.ts";
import { defineAction } from "./action.ts";

/** What the caller has to write out. */
const CONFIRMATION = "remove everything but the backups";

/** Removes tables, settings, log and schedule; the backups stay. */
export const uninstall = defineAction({
  name: "uninstall",
  method: "POST",
  summary: "Remove the service's tables, settings, log and schedule. The backups stay.",
  input: z.strictObject({
    confirm: z.literal(CONFIRMATION).describe(`The words: ${CONFIRMATION}`),
  }),
  output: z.object({
    removed: z.array(z.string()),
    backupsStayAt: z.string().nullable(),
    next: z.array(z.string()),
  }),
  needsAdmin: () => true,
  run: (deps, _, caller) => remove(deps, caller),
});
