/**
 * After a new release was deployed its first request brings the tables along, so that backups do not stop
 * until somebody calls `init`. Tables that are not there are left to `init`, and newer ones alone.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Caller, Deps } from "../deps.ts";
import { recordAudit } from "../jobs/record_audit.ts";

/** Looks once in a process. It never throws: what the tables lack then the action itself says. */
export async function upgradeTables(deps: Deps, caller: Caller): Promise<void> {
  try {
    const applied = await deps.state.upgrade();
    if (applied.length === 0) return;
    await recordAudit(deps, caller, {
      action: "upgrade-tables",
      subject: null,
      outcome: "completed",
      details: { applied },
    });
  } catch (thrown) {
    const error = toBackupError(thrown);
    // The action meets that too, and answers with it or does without the tables.
    if (error.code === "database_unreachable" || error.code === "invalid_config") return;
    deps.reportError(error, "upgrade of the tables");
  }
}
