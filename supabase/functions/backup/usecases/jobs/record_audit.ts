/**
 * Writes the audit log; where the tables cannot be used, the log of the function keeps the event.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { AuditEvent } from "../../state/backup_audit_log.ts";
import type { Caller, Deps } from "../deps.ts";

/** Records that the caller's request was taken on, or what came of it. */
export async function recordAudit(
  deps: Deps,
  caller: Caller,
  event: Pick<AuditEvent, "action" | "subject" | "outcome" | "details">,
): Promise<void> {
  try {
    await deps.state.audit.add({ ...event, actor: caller.name, requestId: caller.requestId });
  } catch (error) {
    deps.reportError(
      toBackupError(error),
      `audit: ${event.action} of ${
        event.subject ?? "the service"
      } by ${caller.name}: ${event.outcome}`,
    );
  }
}
